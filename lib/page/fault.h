/* SPDX-License-Identifier: MIT */
/* Requests that fail on purpose: see fault.c and <stele/fault.h>. */
#ifndef STELE_PAGE_FAULT_H
#define STELE_PAGE_FAULT_H

#include "base/compiler.h"
#include "stele/fault.h"

/* Something may fail somewhere: the hit paths are closed meanwhile. */
extern bool fault_armed;
/* malloc's requests too. */
extern bool fault_malloc;

/* Read the tunables; once, before the first block. */
void fault_init(void);
/* False: @attr makes no sense. */
bool fault_set(enum stele_fault which, const struct stele_fault_attr *attr);
unsigned long fault_count(enum stele_fault which);
uint32_t fault_set_nth(uint32_t n);
void fault_set_malloc(bool on);

bool fault_decide(enum stele_fault which, size_t size);

/* Shall this request fail? */
static inline bool should_fail(enum stele_fault which, size_t size)
{
	return unlikely(READ_ONCE(fault_armed)) && fault_decide(which, size);
}

#endif
