/* SPDX-License-Identifier: MIT */
/* A library that is closed again; the blocks that it made stay. */
#include "truth.h"

void case_closed_library(void);
void case_closed_data(void);

static void *closed_data;

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
