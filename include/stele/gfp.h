/* SPDX-License-Identifier: MIT */
/*
 * The flags word of every request: what the allocator may do to serve it.
 *
 * The names and their meaning are those of the Linux kernel, the values are
 * Stele's own. A modifier (STELE_GFP_ZERO) changes one thing; a combination
 * (STELE_GFP_KERNEL) describes a context. Most calls pass one combination and
 * perhaps a modifier.
 *
 *	context of the caller			flags
 *	ordinary code				STELE_GFP_KERNEL
 *	must not enter the kernel or wait	STELE_GFP_NOWAIT
 *	a signal handler			STELE_GFP_ATOMIC
 *	a shrinker, or code that holds what	STELE_GFP_NOFS, or a scope
 *	a shrinker wants
 */
#ifndef STELE_GFP_H
#define STELE_GFP_H

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned int stele_gfp_t;

/*
 * ---- modifiers ----
 *
 * Those that even the fast paths must look at have the highest bits.
 */

/* The caller may wait: locks, system calls, and freeing memory first. */
#define STELE_GFP_DIRECT_RECLAIM	0x00000001u
/* Says that others may reclaim for it; the library's thread (kswapd=) looks by itself. */
#define STELE_GFP_KSWAPD_RECLAIM	0x00000002u
#define STELE_GFP_RECLAIM	(STELE_GFP_DIRECT_RECLAIM | STELE_GFP_KSWAPD_RECLAIM)
/* Reports may be written (they go to a file descriptor, and that may block). */
#define STELE_GFP_IO			0x00000004u
/* Callbacks of the program may be called: shrinkers and OOM notifiers. */
#define STELE_GFP_FS			0x00000008u

/* The last reserve may be touched. */
#define STELE_GFP_HIGH			0x00000010u
/* All of the reserve may be used, as by who is about to free memory. */
#define STELE_GFP_MEMALLOC		0x00000020u
/* None of the reserve, whatever the other flags say. */
#define STELE_GFP_NOMEMALLOC		0x00000040u

/* One cheap attempt to free memory (what caches hold idle), then NULL. */
#define STELE_GFP_NORETRY		0x00000080u
/* Many attempts, shrinkers at rising pressure and pauses included, then NULL. */
#define STELE_GFP_RETRY_MAYFAIL		0x00000100u
/*
 * Never NULL for a possible size: retries for ever, calling the function set by
 * stele_set_nofail_callback() between the rounds. Needs DIRECT_RECLAIM.
 */
#define STELE_GFP_NOFAIL		0x00000200u

/* The memory is zeroed. */
#define STELE_GFP_ZERO			0x00040000u
/* No line on stderr when the request fails. */
#define STELE_GFP_NOWARN		0x00000400u
/* Hint: the block will not be used soon; take one that is not in a CPU's cache. */
#define STELE_GFP_COLD			0x00080000u
/* Charge the block to the thread's budget group; see <stele/budget.h>. */
#define STELE_GFP_ACCOUNT		0x00100000u

/* Memory below 4 GiB. Only the page functions know it; see <stele/pages.h>. */
#define STELE_GFP_DMA			0x00200000u
#define STELE_GFP_DMA32			0x00400000u

/* Taken for compatibility; they say nothing about memory in a process. */
#define STELE_GFP_HIGHMEM		0x00000800u
#define STELE_GFP_MOVABLE		0x00001000u
#define STELE_GFP_RECLAIMABLE		0x00002000u
#define STELE_GFP_HARDWALL		0x00004000u
#define STELE_GFP_THISNODE		0x00008000u
#define STELE_GFP_COMP			0x00010000u
#define STELE_GFP_WRITE			0x00020000u

/* Any other bit is a mistake: EINVAL and a line that names the caller. */
#define STELE_GFP_ALL			0x007fffffu

/* ---- combinations ---- */

/* May wait, enter the kernel, reclaim, call shrinkers and OOM notifiers. */
#define STELE_GFP_KERNEL	(STELE_GFP_RECLAIM | STELE_GFP_IO | STELE_GFP_FS)
#define STELE_GFP_KERNEL_ACCOUNT (STELE_GFP_KERNEL | STELE_GFP_ACCOUNT)
/*
 * Only what is at hand: no system call, no waiting for a lock. NULL is an
 * ordinary answer. May be used wherever STELE_GFP_ATOMIC may. (The library must
 * have served a request before, any at all: the first of a process sets it up.)
 */
#define STELE_GFP_NOWAIT	(STELE_GFP_KSWAPD_RECLAIM | STELE_GFP_NOWARN)
/*
 * As NOWAIT, and the reserve may be used (stele_reserve_fill()). Safe in a
 * signal handler, whatever it interrupted: locks are tried once, nothing is
 * written down that the interrupted code has half done.
 */
#define STELE_GFP_ATOMIC	(STELE_GFP_HIGH | STELE_GFP_KSWAPD_RECLAIM)
/* As KERNEL, but nothing is written to a file descriptor; and no callbacks. */
#define STELE_GFP_NOIO		STELE_GFP_RECLAIM
/* As KERNEL, but no callbacks: for code that holds what a shrinker needs. */
#define STELE_GFP_NOFS		(STELE_GFP_RECLAIM | STELE_GFP_IO)
/* The same as KERNEL here. */
#define STELE_GFP_USER		(STELE_GFP_KERNEL | STELE_GFP_HARDWALL)
#define STELE_GFP_HIGHUSER	(STELE_GFP_USER | STELE_GFP_HIGHMEM)
#define STELE_GFP_HIGHUSER_MOVABLE (STELE_GFP_HIGHUSER | STELE_GFP_MOVABLE)

/* May a request with these flags wait? */
static inline int stele_gfp_blocking(stele_gfp_t gfp)
{
	return (gfp & STELE_GFP_DIRECT_RECLAIM) != 0;
}

/* ---- scopes ---- */

/*
 * Until the matching restore, every request of the calling thread, malloc()'s
 * included, is treated as if the flag were taken out of it:
 *
 *	nofs		STELE_GFP_FS: no shrinker, no OOM notifier is called
 *	noio		STELE_GFP_IO and STELE_GFP_FS: nor is a report written
 *	noreclaim	STELE_GFP_DIRECT_RECLAIM's reclaim: no memory is freed to
 *			serve it, and the whole reserve may be used; locks and
 *			system calls are still allowed
 *
 * Scopes nest: save returns what restore wants. Any context.
 */
unsigned int stele_memalloc_nofs_save(void);
void stele_memalloc_nofs_restore(unsigned int saved);
unsigned int stele_memalloc_noio_save(void);
void stele_memalloc_noio_restore(unsigned int saved);
unsigned int stele_memalloc_noreclaim_save(void);
void stele_memalloc_noreclaim_restore(unsigned int saved);

/* ---- never failing, and the reserve ---- */

enum stele_nofail {
	STELE_NOFAIL_RETRY,	/* something was freed, or it is worth waiting */
	STELE_NOFAIL_ABORT,	/* give up: a line on stderr, then abort() */
};

/*
 * @fn is called, without any lock of the library, each time a STELE_GFP_NOFAIL
 * request of @size bytes has found no memory in a full round. @round counts from
 * 1. NULL takes the function away; then the library pauses (1 to 100 ms) and
 * tries again, and says so every thousand rounds. Process context.
 */
typedef enum stele_nofail (*stele_nofail_fn)(unsigned long size, stele_gfp_t gfp,
					     unsigned long round, void *data);
void stele_set_nofail_callback(stele_nofail_fn fn, void *data);

/*
 * Set aside @pages pages of 4 KiB, in memory already, for requests with
 * STELE_GFP_HIGH (which may use half of them; without DIRECT_RECLAIM five
 * eighths) and STELE_GFP_MEMALLOC (all). What is taken from it is refilled by
 * later requests that may wait. 0 gives it back. Returns 0, or -ENOMEM with the
 * old reserve in place. Process context; at start it is empty.
 */
int stele_reserve_fill(unsigned long pages);
/* Pages of the reserve that are there now. Any context. */
unsigned long stele_reserve_pages(void);

#ifdef __cplusplus
}
#endif

#endif
