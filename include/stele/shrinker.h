/* SPDX-License-Identifier: MIT */
/*
 * Shrinkers and OOM notifiers: a program that caches things it could do without
 * is asked to give some up when memory is short.
 *
 * They are called by a thread whose request cannot be served, malloc()'s
 * included: never by a thread of the library's own, never with a lock of the
 * library held, never in a signal handler, and not inside the scopes of
 * <stele/gfp.h> or one another. The thread may hold locks of the program: code
 * that allocates under a lock that its shrinker takes must say so
 * (stele_memalloc_nofs_save()), or the shrinker must only try the lock.
 *
 * libc's headers promise the compiler that malloc() does not call back into the
 * file that calls it. Static variables that callbacks change in the file that also
 * calls malloc() must be volatile or atomic there. stele_kmalloc() promises nothing.
 */
#ifndef STELE_SHRINKER_H
#define STELE_SHRINKER_H

#include <stele/gfp.h>

#ifdef __cplusplus
extern "C" {
#endif

struct stele_shrink_control {
	stele_gfp_t gfp_mask;		/* of the request that needs memory */
	int nid;			/* always 0 */
	unsigned long nr_to_scan;	/* for scan_objects: look at so many */
	unsigned long nr_scanned;	/* it may store here how many it did look at */
};

#define STELE_SHRINK_STOP	(~0ul)		/* scan_objects: nothing more to be done now */
#define STELE_SHRINK_EMPTY	(~0ul - 1)	/* count_objects: there is nothing at all */
#define STELE_DEFAULT_SEEKS	2

struct stele_shrinker {
	/* How many objects could be freed; cheap, may be wrong. 0: none for now. */
	unsigned long (*count_objects)(struct stele_shrinker *s,
				       struct stele_shrink_control *sc);
	/*
	 * Look at sc->nr_to_scan objects and free those that can be; returns how
	 * many were freed, or STELE_SHRINK_STOP.
	 */
	unsigned long (*scan_objects)(struct stele_shrinker *s,
				      struct stele_shrink_control *sc);
	long batch;			/* nr_to_scan at a time; 0: 128 */
	int seeks;			/* what an object costs to make again; 0: nothing */
	unsigned int flags;		/* none is defined */
	void *private_data;		/* yours */
	unsigned long internal[8];	/* not yours */
};

/*
 * A shrinker, zeroed but for seeks (STELE_DEFAULT_SEEKS); @fmt and what follows
 * make its name. NULL: ENOMEM. Set the functions, then register it. Process
 * context, as all of these.
 */
struct stele_shrinker *stele_shrinker_alloc(unsigned int flags, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));
/* From now on it is called. Without both functions: a line, EINVAL, nothing. */
void stele_shrinker_register(struct stele_shrinker *s);
/*
 * No longer; waits until no thread is inside of its functions, so not to be
 * called by them. Then it is freed, also if it was never registered.
 */
void stele_shrinker_free(struct stele_shrinker *s);

/*
 * Call all shrinkers as if memory were short: @priority 12 asks each for about
 * 1/2048 of its objects, each step down for twice that, 0 for all. Returns how
 * many objects were freed.
 */
unsigned long stele_shrink_all(int priority);

/* ---- OOM notifiers ---- */

/* Called in falling priority before a request fails for good. */
struct stele_notifier_block {
	/*
	 * *(unsigned long *)data: add the bytes (or any number) you freed; not 0: the
	 * request is tried once more. @action is 0. The result is ignored but for
	 * STELE_NOTIFY_STOP: those behind are not called.
	 */
	int (*notifier_call)(struct stele_notifier_block *nb, unsigned long action, void *data);
	struct stele_notifier_block *next;	/* the library's while it is registered */
	int priority;
};

#define STELE_NOTIFY_DONE	0x0000
#define STELE_NOTIFY_OK		0x0001
#define STELE_NOTIFY_STOP	0x8000

/* 0, or -EEXIST. @nb stays the caller's, and must stay where it is. */
int stele_register_oom_notifier(struct stele_notifier_block *nb);
/* Waits until no thread is inside of any of them. 0, or -ENOENT. */
int stele_unregister_oom_notifier(struct stele_notifier_block *nb);

#ifdef __cplusplus
}
#endif

#endif
