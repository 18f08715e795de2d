/* SPDX-License-Identifier: MIT */
/* A library that stays: what its data and its thread-local variables hold. */
#include "truth.h"

void case_in_library(void);
void hold_by_library(void *p);
void hold_by_library_tls(void *p);

void *library_data;
static _Thread_local void *library_tls[40];

APART void case_in_library(void)
{
	use(malloc(701));
}

void hold_by_library(void *p)
{
	HOLD(library_data, p);
}

void hold_by_library_tls(void *p)
{
	HOLD(library_tls[17], p);
}
