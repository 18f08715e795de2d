/* SPDX-License-Identifier: MIT */
/* A library that is closed again; the blocks that it made stay. */
#include "truth.h"

void case_closed_library(void);
void case_closed_data(void);
void hold_by_closed_tls(void *p);

static void *closed_data;
static _Thread_local void *closed_tls[40];

APART static void below(size_t size)
{
	use(malloc(size));
	__asm__ volatile("");
}

APART void case_closed_library(void)
{
	below(702);
	__asm__ volatile("");
}

APART void case_closed_data(void)
{
	HOLD(closed_data, malloc(703));
}

void hold_by_closed_tls(void *p)
{
	HOLD(closed_tls[17], p);
}
