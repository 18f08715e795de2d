/* SPDX-License-Identifier: MIT */
/*
 * Birth.
 *
 * The first request may come from ld.so, from a constructor of another
 * library, or from an IFUNC resolver that runs before our own relocations.
 * So initialisation happens on the first request, needs no constructor, and
 * calls nothing that could allocate.
 *
 *	not relocated -> boot allocator only, no libc symbol may be touched
 *	first request -> life_init(): tunables, caches, sheaves
 *	constructor   -> exit report, a late environment, kswapd; fork handlers at times (fork.c)
 *
 * Locking: init_lock; life_ready is stored with release when all is done.
 */
#include "config.h"

#include "life/init.h"

#include "debug/capture.h"
#include "base/fmt.h"
#include "life/fork.h"
#include "life/kswapd.h"
#include "observe/stats.h"
#include "observe/trigger.h"
#include "os/bug.h"
#include "os/caller.h"
#include "os/foreign.h"
#include "os/lock.h"
#include "os/os.h"
#include "page/boot.h"
#include "page/fault.h"
#include "page/vmalloc.h"
#include "slab/percpu.h"
#include "slab/slab.h"
#include "slab/tracked.h"
#include "tune/tune.h"

bool life_ready __initdata;

static struct lock init_lock = LOCK_INIT(RANK_INIT);
static bool environment_read __initdata;

/*
 * Defined by a program that is built with a sanitizer that has a malloc. One name for all of
 * them: a name that nobody has is looked for everywhere, at each start.
 */
extern void __sanitizer_get_allocated_size(void) __weak_ref;

/* Holds its own address, once ld.so has relocated us. */
static void *volatile relocated = (void *)&relocated;

static __init void read_environment(char **envp)
{
	if (environment_read || !envp)
		return;
	environment_read = true;
	if (sizeof(CONF_FILE) > 1)
		tune_read_file(CONF_FILE);
	if (tune_is_told(envp) && !os_secure())
		tune_read_environment(envp);
}

/*
 * Tools that watch malloc get one clear line. A sanitizer's run time is part of
 * the program and calls both mallocs: we go on serving. Valgrind takes fresh
 * memory for undefined until a malloc it knows hands it out: libc's is quieter.
 */
static bool must_stay_out(void)
{
	bool valgrind = os_under_valgrind();

	if ((valgrind || tune_has_name(TUNE_ID_skip, os_program())) && !foreign_serves()) {
		warn("libc's malloc cannot be reached: serving %s all the same", os_program());
		return false;
	}
	if (valgrind) {
		warn("under valgrind: leaving %s to libc's malloc", os_program());
		return true;
	}
	if (&__sanitizer_get_allocated_size)
		warn("%s is built with a sanitizer, which does not see Stele's blocks",
		     os_program());
	return tune_has_name(TUNE_ID_skip, os_program());
}

void *life_other_alloc(size_t size, size_t align, bool zero)
{
	return foreign_all ? foreign_alloc(size, align, zero) : boot_alloc(size, align);
}

void *life_other_realloc(void *p, size_t size)
{
	volatile char *to;
	const char *from = p;
	size_t n;

	if (foreign_all && !boot_owns(p))
		return foreign_realloc(p, size);
	/* By hand: memcpy is libc's, and may not be there yet. */
	to = life_other_alloc(size, 1, false);
	n = to ? MIN(size, boot_size(p)) : 0;
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
	return (void *)to;
}

__init bool life_init(void)
{
	if (relocated != &relocated || foreign_all)
		return false;
	lock_acquire(&init_lock);
	if (!life_ready && !foreign_all) {
		read_environment(os_environ());
		foreign_all = must_stay_out();
	}
	if (!life_ready && !foreign_all) {
		fmt_symbol = caller_name;
		fault_init();
		vmalloc_apart = tune.leak != LEAK_OFF;
		track_init();
		slab_init();
		tracked_init();
		percpu_init();
		store_release(&life_ready, true);
	}
	lock_release(&init_lock);
	return life_ready;
}

/*
 * The program may close fd 2 before it ends, or put a file of its own there:
 * a report that was asked for goes to the stderr it was started with.
 */
static __cold_path void keep_stderr(void)
{
	int fd = os_dup(2);

	if (fd >= 0)
		report_fd = fd;
}

/* What a program that starts many others pays each time: see tests/abi/startup.sh. */
static __init __attribute__((constructor)) void life_start(void)
{
	/* A program that never allocates pays for nothing more than this. */
	if (relocated == &relocated)
		read_environment(os_environ());
	if (tune.leak != LEAK_OFF || tune.profile || tune.kswapd || tune.psi || !os_before_libc())
		fork_register();
	if (tune.stats == STATS_EXIT || tune.leak != LEAK_OFF || tune.profile)
		keep_stderr();
	if (tune.kswapd || tune.psi)
		kswapd_init();
	/* Who tracks wants it from the first block on, and to be told of the end. */
	if ((tune.leak != LEAK_OFF || tune.profile) && life_init() &&
	    (tune.leak != LEAK_OFF || track_sampling)) {
		capture_load();
		leak_start();
	}
}

/* After the program's own exit handlers, which may still allocate. */
static __exit __attribute__((destructor)) void life_end(void)
{
	if (tune.stats == STATS_EXIT)
		stats_print();
}
