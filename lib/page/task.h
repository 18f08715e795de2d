/* SPDX-License-Identifier: MIT */
/* What the library keeps per thread: as little as can be, it is everybody's TLS. */
#ifndef STELE_PAGE_TASK_H
#define STELE_PAGE_TASK_H

#include "base/compiler.h"

struct stele_budget;

/* Of scope: what requests of this thread may not do, whatever their flags say. */
enum task_scope {
	SCOPE_NOFS = 1,		/* call the program back */
	SCOPE_NOIO = 2,		/* that, and write reports */
	SCOPE_NORECLAIM = 4,	/* free memory first; they may use the reserve instead */
};

struct task {
	uint16_t scope;
	uint16_t make_error;		/* why an object could not be made last; 0: none */
	uint32_t fail_nth;		/* requests up to the one to fail; 0: none */
	struct stele_budget *budget;	/* NULL: none */
};

/* The thread's own; a signal handler on it may read and restore. */
extern __thread struct task current_task;

#endif
