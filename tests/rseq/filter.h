/* SPDX-License-Identifier: MIT */
/* Filters of system calls; they stay for this thread and its heirs. */
#ifndef FILTER_H
#define FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

/*
 * What becomes of either call, and of all others: SECCOMP_RET_... Native calls only, which is
 * all that a test makes. 0, or -1 where filters are refused.
 */
static inline int filter_set(unsigned nr, unsigned other, unsigned either, unsigned rest)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, other, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, either),
		BPF_STMT(BPF_RET | BPF_K, rest),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

/* The call fails. */
static inline int filter_refuse(unsigned nr, unsigned err)
{
	return filter_set(nr, nr, SECCOMP_RET_ERRNO | err, SECCOMP_RET_ALLOW);
}

/* The call ends the process. */
static inline int filter_kill_at(unsigned nr)
{
	return filter_set(nr, nr, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
}

/* Every call but these two does. */
static inline int filter_kill_but(unsigned nr, unsigned other)
{
	return filter_set(nr, other, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
}

#endif
