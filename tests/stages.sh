#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: tests/stages.sh asan|tsan|fuzz|clang|dist|all ...
#
# The checks that need a build of their own, each in build/NAME:
#   asan    the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan    the unit tests under ThreadSanitizer
#   fuzz    libFuzzer drives the core for FUZZ_SECONDS (60)
#   clang   everything compiles with clang and without a warning
#   dist    make distcheck, with the unit tests
# The last line is "N passed, N failed"; the last three count as one check each.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/setup.sh
. "$top/tests/setup.sh"

clang_runtime()
{
	version=$(clang --version | sed -n 's/.*clang version \([0-9]*\).*/\1/p')
	install_packages "libclang-rt-$version-dev"
}

# sanitizer_tests DIR LIST
sanitizer_tests()
{
	configure_tree "$1" --with-sanitizer="$2" --enable-debug --enable-werror &&
		build_tree "$1" && run_tests "$1"
}

stage_asan()
{
	sanitizer_tests "$1" address,undefined
}

stage_tsan()
{
	sanitizer_tests "$1" thread
}

# one COMMAND...: a stage that counts as one check.
one()
{
	passed=0 failed=1
	"$@" && passed=1 failed=0
}

fuzz()
{
	install_packages clang && clang_runtime &&
		configure_tree "$1" --enable-fuzzer --with-sanitizer=address,undefined \
			--enable-debug CC=clang CXX=clang++ &&
		build_tree "$1" tests/fuzz/fuzz_malloc || return 1
	mkdir -p "$1/corpus" "$1/found"
	quietly "$1/fuzz.log" "$1/tests/fuzz/fuzz_malloc" \
		-max_total_time="${FUZZ_SECONDS:-60}" -artifact_prefix="$1/found/" -print_final_stats=1 "$1/corpus"
}

clang_build()
{
	install_packages clang &&
		configure_tree "$1" --enable-werror CC=clang CXX=clang++ &&
		build_tree "$1" && build_tree "$1" check TESTS=
}

dist()
{
	configure_tree "$1" || return 1
	quietly "$1/dist.log" make "$(jobs_flag)" -C "$1" distcheck \
		"TESTS=$(tests_in "$1" unit | tr '\n' ' ')"
}

stage_fuzz() { one fuzz "$1"; }
stage_clang() { one clang_build "$1"; }
stage_dist() { one dist "$1"; }

case " $* " in
"  " | *" -"*)
	sed -n 's/^# usage: /usage: /p' "$0" >&2
	exit 2
	;;
*" all "*) set -- asan tsan fuzz clang dist ;;
esac

# A finding of a sanitizer ends the program that made it.
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
TSAN_OPTIONS=halt_on_error=1
export UBSAN_OPTIONS TSAN_OPTIONS

all_passed=0 all_failed=0
for stage in "$@"; do
	case $stage in
	asan | tsan | fuzz | clang | dist) ;;
	*)
		say "no such stage: $stage"
		exit 2
		;;
	esac
	start=$(date +%s)
	passed=0 failed=1
	# shellcheck disable=SC2086 # a list of words
	install_packages $BUILD_PACKAGES && "stage_$stage" "$top/build/$stage"
	seconds=$(($(date +%s) - start))
	echo "stage $stage: $passed ok, $failed not ok, $seconds s"
	all_passed=$((all_passed + passed))
	all_failed=$((all_failed + failed))
done
echo "$all_passed passed, $all_failed failed"
[ "$all_failed" = 0 ]
