/* SPDX-License-Identifier: MIT */
/*
 * A fake machine under the core: every function of os/os.h on one range of
 * addresses that is reserved from the real system and committed on demand.
 *
 *	base                        break_limit   map_low            map_high
 *	|-- break area: sbrk goes up ------|           |<- mappings go down --|
 *
 * The range has a boundary of a section leaf (128 GiB) at base + FAKE_LEAF. What
 * is not mapped here cannot be read, what was given back reads as zero, and a
 * call that breaks the contract of os/os.h ends the program with a message.
 */
#ifndef STELE_TESTS_OS_FAKE_H
#define STELE_TESTS_OS_FAKE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_SPAN	(64ul << 30)
#define FAKE_MIDDLE	(FAKE_SPAN / 2)	/* mappings above, the break below */
#define FAKE_LEAF	(16ul << 30)
#define FAKE_HUGE	(2ul << 20)	/* the only page size of the pool */

enum fake_call {
	FAKE_SBRK_QUERY,	/* sbrk(0) */
	FAKE_BRK_GROW,
	FAKE_BRK_TRIM,
	FAKE_MAP,
	FAKE_UNMAP,
	FAKE_REMAP,
	FAKE_PURGE,
	FAKE_MAP_HUGE,
	FAKE_ADVISE_HUGE,
	FAKE_ADVISE_SMALL,
	FAKE_OPEN,
	FAKE_SEAL,
	FAKE_PIN,
	FAKE_MOVE,
	NR_FAKE_CALLS,
};

/* What a test may set between fake_boot() and its first call of the core. */
struct fake {
	size_t page_size;		/* 4, 16 or 64 KiB */
	unsigned cpus;
	bool single_threaded;
	bool secure;
	char **environ;
	size_t limit;			/* bytes of break and mappings; SIZE_MAX: none */
	size_t pool;			/* bytes of huge pages that os_map_huge may take */
	const char *file;		/* what os_read_file finds; NULL: nothing */
	uint64_t clock;			/* milliseconds */
	uintptr_t stack_top;		/* 0: not known */
	ptrdiff_t rseq_area;		/* from the thread pointer; 0: none */
	uintptr_t low_limit;		/* of os_map_low(), which takes any place; 0: none is low */
	bool remap_moves;		/* mremap never grows in place */
	bool can_move;			/* os_move() is to be had */
	unsigned swap_from;		/* the question of swap from which on the answer is yes; 0: never */
	void (*before_sbrk)(intptr_t delta);	/* runs once, then is NULL */

	/* Set by fake_boot(), to be read. */
	uintptr_t base, brk_start, brk, break_limit, map_low, map_high;
	size_t mapped;			/* bytes of break and mappings now */
	unsigned swap_asked;		/* os_nothing_swapped() */

	/* How often each call was made (failed ones too), and its last range. */
	unsigned calls[NR_FAKE_CALLS];
	struct {
		uintptr_t addr;
		size_t len;
	} last[NR_FAKE_CALLS];
};
extern struct fake fake;

/* A machine as it starts: 4 KiB pages, break at base + 1 MiB, one thread. */
void fake_boot(void);
/* The break starts at base + @offset (any number) and has @room bytes. */
void fake_break(size_t offset, size_t room);
/* Mappings go into [base + @low, base + @high). */
void fake_map_area(size_t low, size_t high);

/* Let @after calls of the kind succeed, then fail @times of them with @err. */
void fake_fail(enum fake_call kind, unsigned after, unsigned times, int err);
#define FAKE_ALWAYS	(~0u)
/* All calls that give memory fail from now on, or work again. */
void fake_fail_all(bool fail);

/* For os_fake_vm.c: count a call; the error that a test asked for, or 0. */
int fake_enter(enum fake_call kind, void *addr, size_t len, bool gives_memory);

/* Somebody else's sbrk(): the old break, or NULL where it cannot move. */
void *fake_foreign_sbrk(intptr_t delta);

/* Is the page of @addr mapped in the fake machine? */
bool fake_is_mapped(const void *addr);

/* What the core wrote to file descriptors since the last fake_text_clear(). */
const char *fake_text(void);
void fake_text_clear(void);

/*
 * Run fn(arg), which must end in os_abort(); true if it did. What it wrote is
 * in fake_text(). The core must not be used after it, except to look at it.
 */
bool fake_aborts(void (*fn)(void *), void *arg);

#endif
