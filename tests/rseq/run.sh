#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs the tests of the per-CPU sheaves as tests/hard/run.sh runs its own, and prints TAP:
#
#	tests/rseq/run.sh [case or launcher...]
#
# The launchers start a few of the programs where libc or the kernel has no restartable sequences
# (tunable, refuse-rseq-*), or no fence to stop them (refuse-membarrier-*).

here=$(cd "$(dirname "$0")" && pwd)

HARD_SUITE=rseq
HARD_CASES="singlestep stepsignal stepswap abortstep vforkopen migrate preempt lastcpu bycpu drain
	vforkstorm unregistered forkrseq"
HARD_LAUNCHERS="tunable refuse-rseq-ENOSYS refuse-rseq-EPERM refuse-membarrier-ENOSYS
	refuse-membarrier-EPERM"
HARD_LAUNCHED="migrate drain vforkstorm unregistered forkrseq"
HARD_MODES=${HARD_MODES:-auto rseq locked}
HARD_LAUNCHED_MODES=${HARD_LAUNCHED_MODES:-auto rseq}
export HARD_SUITE HARD_CASES HARD_LAUNCHERS HARD_LAUNCHED HARD_MODES HARD_LAUNCHED_MODES
exec "$here/../hard/run.sh" "$@"
