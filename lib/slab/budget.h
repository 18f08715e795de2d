/* SPDX-License-Identifier: MIT */
/* Budget groups: see budget.c and <stele/budget.h>. */
#ifndef STELE_SLAB_BUDGET_H
#define STELE_SLAB_BUDGET_H

#include "os/lock.h"
#include "slab/gfp.h"
#include "stele/budget.h"

/* As gfp_alloc_plain(), charged to the thread's group, of which there is one. */
void *budget_alloc(const struct request *r, stele_gfp_t gfp);

/* Something has been charged: frees of large blocks must look. */
extern bool budget_active;
/* The block goes away; true: it was charged. */
bool budget_uncharge(const void *p);
bool budget_is_charged(const void *p);

struct stele_budget *budget_create(const char *name, size_t limit);
int budget_destroy(struct stele_budget *b);

struct stele_budget {
	size_t limit, usage, peak;	/* atomic */
	unsigned long failures;		/* atomic */
	uint32_t alive;
	char name[32];
	struct stele_budget *next;	/* of those that may be used again */
};

extern struct lock budget_lock;

#endif
