/* SPDX-License-Identifier: MIT */
/*
 * The leak reporter: kmemleak inside the allocator.
 *
 *	trigger.c helper.c catch.c	when
 *	leak.c				one report from begin to end
 *	stop.c maps.c module.c		the threads, what is mapped, the modules
 *	roots.c stack_area.c excuse.c	what points where,
 *	mark.c start.c			and what that means
 *	group.c suppress.c		equal blocks together, known ones left out
 *	text.c snapshot.c symbol.c	what is written
 *	history.c			the size over time
 */
#ifndef STELE_OBSERVE_LEAK_H
#define STELE_OBSERVE_LEAK_H

#include "observe/roots.h"
#include "os/lock.h"

enum leak_kind {
	LEAK_DIRECT, LEAK_INDIRECT, LEAK_POSSIBLE, LEAK_REACHABLE, LEAK_YOUNG, NR_LEAK_KINDS
};
extern const char *const leak_kind_names[NR_LEAK_KINDS];

struct leak_counts {
	size_t blocks[NR_LEAK_KINDS], bytes[NR_LEAK_KINDS];
};

extern uint64_t leak_began_ns;	/* when this program began, by os_clock_ns() */

static inline uint32_t leak_uptime_ms(void)
{
	return (uint32_t)((os_clock_ns() - leak_began_ns) / 1000000);
}

/* One report at a time; taken before all other locks. */
extern struct lock observe_lock;

/* What a report tells of itself. */
struct leak_facts {
	const char *reason, *detail;	/* a word; "" or more of it */
	int pid;
	uint64_t real_ns;
	uint32_t uptime_ms;		/* at the same moment */
	uint32_t now_ms;		/* by the clock of records */
	size_t blocks, bytes;		/* all that the program holds */
	size_t threads, answered;	/* others, and those that stopped */
	size_t scanned;			/* bytes */
	uint64_t scan_us, pause_us;
	bool marked;			/* false: scan=off or profile=, plain list */
	struct leak_counts counts;	/* after suppressions */
	struct leak_counts suppressed;
	const struct maps *maps;
};

/*
 * Make a report. NULL @caller: the thread is one of ours. @write: also where it
 * is meant to be read; else only count. False: nothing could be found out.
 */
bool leak_report(const char *reason, const char *detail, const struct reporter *caller, bool write,
		 struct leak_counts *counts);

/* Wait until a report that another thread is making is there. */
void leak_wait(void);
/* The same, and from now on there is no other: the process ends. */
void leak_hold(void);
/* Is this the thread that reports, or holds? */
bool leak_is_mine(void);
/* In a child of fork, which has none of its parent's reports under way. */
void leak_forked(void);

/* Directly, indirectly or possibly lost, suppressed ones left out: is there any? */
bool leak_any(const struct leak_counts *c);

#endif
