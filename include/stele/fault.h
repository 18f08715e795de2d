/* SPDX-License-Identifier: MIT */
/*
 * Fault injection: requests that fail on purpose, to try a program's error paths.
 *
 * Two places can fail: slab (every request for a block or an object) and page
 * (every request of the allocator for fresh pages or a mapping, most of which
 * the program does not see). Without a program's help they are set by STELE_CONF:
 *
 *	STELE_CONF=failslab=INTERVAL:PROBABILITY:SPACE:TIMES[:malloc]
 *	STELE_CONF=fail_page_alloc=INTERVAL:PROBABILITY:SPACE:TIMES
 *
 * Requests with STELE_GFP_NOFAIL never fail this way. malloc() and its relatives
 * do so only when asked for. While nothing is set, nothing is paid.
 */
#ifndef STELE_FAULT_H
#define STELE_FAULT_H

#ifdef __cplusplus
extern "C" {
#endif

enum stele_fault {
	STELE_FAILSLAB,
	STELE_FAIL_PAGE_ALLOC,
};

struct stele_fault_attr {
	unsigned long interval;		/* only every so manyth request may fail; 0 as 1 */
	unsigned long probability;	/* in percent; 0: off */
	unsigned long space;		/* bytes that are served first */
	long times;			/* how many may fail; -1: any number */
};

/* Set one of them; NULL: off. 0, or -EINVAL. Process context. */
int stele_fault_set(enum stele_fault which, const struct stele_fault_attr *attr);
/* How many requests were made to fail. Any context. */
unsigned long stele_fault_count(enum stele_fault which);

/*
 * Let the @n th request of the calling thread from now on fail, once; 0: none.
 * Returns how many were left to go of the last such order, 0: it has failed, or
 * there was none. Any context.
 */
unsigned int stele_fail_nth(unsigned int n);

/* Shall malloc() and its relatives fail too, by either? At start: no. Process. */
void stele_fault_malloc(int on);

#ifdef __cplusplus
}
#endif

#endif
