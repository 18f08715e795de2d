/* SPDX-License-Identifier: MIT */
/*
 * Locking: observe_lock. What the heap holds is summed up without its locks, so it may be off by
 * what threads allocate meanwhile; of sampled programs too it is the true size, no estimate.
 */
#include "observe/history.h"

#include "observe/leak.h"
#include "observe/write.h"
#include "page/vmalloc.h"
#include "slab/kmalloc.h"
#include "tune/tune.h"

#define PERIOD_MAX	(1u << 20)	/* ms */

struct point {
	uint32_t uptime_ms;
	size_t used, resident;
};

static struct point points[HISTORY_POINTS];
static unsigned nr_points, thinned;

static void thin(void)
{
	for (unsigned i = 0; i < HISTORY_POINTS / 2; i++)
		points[i] = points[2 * i];
	nr_points = HISTORY_POINTS / 2;
	thinned++;
}

void history_add(void)
{
	struct kmalloc_usage u = kmalloc_usage();
	size_t mapped = vmalloc_stats_unlocked().bytes, resident, peak;

	if (nr_points == HISTORY_POINTS)
		thin();
	leak_rss(&resident, &peak);
	points[nr_points++] = (struct point){
		leak_uptime_ms(), u.slab_bytes + u.large_bytes + mapped, resident,
	};
}

unsigned history_period(void)
{
	uint64_t ms = tune.leak_history << MIN(thinned, 20u);

	return (unsigned)MIN(ms, (uint64_t)PERIOD_MAX);
}

void history_write(struct out *o)
{
	for (unsigned i = 0; i < nr_points; i++)
		out_print(o, "point %u %lu %lu\n", points[i].uptime_ms,
			  (unsigned long)points[i].used, (unsigned long)points[i].resident);
}
