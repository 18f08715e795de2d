/* SPDX-License-Identifier: MIT */
/* refuse CALL ERROR PROGRAM: runs PROGRAM where the kernel refuses CALL. */
#include <sys/syscall.h>

#include "../hard/hard.h"
#include "filter.h"

#ifndef SYS_rseq
#define SYS_rseq 334
#endif

int main(int argc, char **argv)
{
	unsigned nr, err;

	CHECK(argc > 3, "usage: refuse rseq|membarrier ENOSYS|EPERM PROGRAM");
	nr = strcmp(argv[1], "rseq") ? SYS_membarrier : SYS_rseq;
	err = strcmp(argv[2], "EPERM") ? ENOSYS : EPERM;
	if (filter_refuse(nr, err))
		SKIP("no seccomp filters: errno %d", errno);
	execv(argv[3], argv + 3);
	CHECK(0, "%s: errno %d", argv[3], errno);
}
