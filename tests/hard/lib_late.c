/* SPDX-License-Identifier: MIT */
/* A library whose destructor is among the last code of the process and still allocates. */
#include "hard.h"
#include "lib_late.h"

static void *early;
static int report_fd = -1;

__attribute__((constructor)) static void late_load(void)
{
	early = hard_malloc(5000);
	hard_fill(early, 5000, 1);
}

void late_report_to(int fd)
{
	report_fd = fd;
}

__attribute__((destructor)) static void late_unload(void)
{
	void *p = hard_malloc(70000);

	hard_fill(p, 70000, 2);
	hard_verify(early, 5000, 1);
	free(early);
	hard_verify(p, 70000, 2);
	free(p);
	CHECK(report_fd < 0 || write(report_fd, "L", 1) == 1, "write");
}
