/* SPDX-License-Identifier: MIT */
/*
 * Direct reclaim: what a request that found no memory does before it fails.
 *
 *	1 what sheaves and barns hold, and empty slabs	kmalloc_drain
 *	2 free pages, to the system			reclaim_all
 *	3 shrinkers, from priority 12 down until somebody frees something
 *	4 OOM notifiers
 *
 * Rounds after the first begin with 3 and lower: 1 and 2 have been done. Who asks
 * with NORETRY gets 1 and 2 alone; NOFS leaves out 3 and 4, RETRY_MAYFAIL 4.
 */
#include "slab/pressure.h"

#include "page/reclaim.h"
#include "page/task.h"
#include "slab/kmalloc.h"
#include "slab/shrinker.h"

#define PRIORITY_STEP	3

stele_gfp_t gfp_in_scope(stele_gfp_t gfp)
{
	uint32_t scope = current_task.scope;

	if (likely(!scope))
		return gfp;
	if (scope & SCOPE_NOFS)
		gfp &= ~STELE_GFP_FS;
	if (scope & SCOPE_NOIO)
		gfp &= ~(STELE_GFP_FS | STELE_GFP_IO);
	if (scope & SCOPE_NORECLAIM)
		gfp |= STELE_GFP_MEMALLOC;
	return gfp;
}

static void give_idle_back(void)
{
	kmalloc_drain();
	reclaim_all(0);
}

/* Did the program free something? Then it lies in sheaves and free pages. */
static bool ask_program(stele_gfp_t gfp, unsigned round)
{
	int priority = SHRINK_PRIORITY - (int)MIN(round, 4u) * PRIORITY_STEP;
	unsigned long freed = 0;

	while (!freed && priority >= 0)
		freed = shrink_all(gfp, priority--);
	if (!freed && !(gfp & STELE_GFP_RETRY_MAYFAIL))
		freed = oom_notify();
	return freed;
}

bool pressure_relieve(stele_gfp_t gfp, unsigned round)
{
	bool gained = false;

	gfp = gfp_in_scope(gfp);
	if (current_task.scope & SCOPE_NORECLAIM)
		return false;
	if (!round) {
		give_idle_back();
		gained = true;
	}
	/* What was idle may do: the program is asked when it did not. */
	if (gained || gfp & STELE_GFP_NORETRY || !(gfp & STELE_GFP_FS))
		return gained;
	gained = ask_program(gfp, round - 1);
	if (gained)
		give_idle_back();
	return gained;
}
