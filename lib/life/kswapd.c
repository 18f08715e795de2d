/* SPDX-License-Identifier: MIT */
/*
 * kswapd: what gives memory back while the program does nothing.
 *
 * free() gives back what is above the watermark, in passing. What is below it a
 * program that goes idle would keep for ever. With kswapd=1 a thread does the rest:
 *
 *	asleep --- a free() makes more than kswapd_keep free ---> awake
 *	awake	every kswapd_delay: give back half of what has lain free since the
 *		last round (page/reclaim.c); if the program has done nothing
 *		meanwhile, empty sheaves and barns too
 *	awake --- no more than kswapd_keep is free, caches are empty ---> asleep
 *
 * With psi=1 another thread waits for the system to say that tasks are held up for
 * want of memory, and then gives back all that is free.
 *
 * Neither is started before there is something to give back, and none by a
 * process that is not the one that was asked (a vfork child on its parent's memory).
 *
 * Locking: kswapd_wake is called under zone_lock, which makes it the only one. It
 * sets kswapd_mark to SIZE_MAX, so that it is not called again until the thread has
 * found, under the same lock, that there is nothing to do: no wake-up is lost.
 */
#include "life/kswapd.h"

#include "os/bug.h"
#include "os/os.h"
#include "os/thread.h"
#include "page/reclaim.h"
#include "slab/kmalloc.h"
#include "slab/percpu.h"
#include "tune/tune.h"

/* A program is idle that uses less of the processor than 1 part in so many. */
#define IDLE_PART	16
#define SETTLED		50	/* microseconds of work since the caches were emptied are none */

static struct os_thread kswapd_thread, psi_thread;
static bool kswapd_started, psi_started;
static uint32_t awake;			/* the word that kswapd sleeps on */
static int psi_fd = -1;			/* of the process psi_opener */
static int psi_opener;
static int owner;			/* the process that may start threads */

static void sleep_until_woken(void)
{
	while (!READ_ONCE(awake))
		os_futex_wait(&awake, 0);
}

/* Processor time of everybody else, in microseconds. */
static uint64_t program_time(void)
{
	return os_process_time() - os_thread_time();
}

static _Noreturn void kswapd(void)
{
	uint64_t last = program_time(), drained = 0;

	for (;;) {
		uint64_t delay = READ_ONCE(tune.kswapd_delay), keep = READ_ONCE(tune.kswapd_keep);
		uint64_t now;
		bool idle, settled, works;

		os_sleep(delay);
		now = program_time();
		idle = now - last <= delay * 1000 / IDLE_PART;
		last = now;
		/* Once per rest: who does nothing fills no cache again. */
		settled = now - drained <= SETTLED;
		if (idle && !settled && reclaim_allowed()) {
			kmalloc_drain_idle();
			kmalloc_purge();
			drained = now;
		}
		works = reclaim_idle(keep);
		if (idle && settled && reclaim_sleep(keep, !works, &awake))
			sleep_until_woken();
	}
}

static void open_psi(void)
{
	psi_opener = os_pid();
	psi_fd = os_psi_open();
	if (psi_fd < 0)
		warn("psi: /proc/pressure/memory refuses a trigger, error %d; psi=1 has no effect",
		     -psi_fd);
}

static _Noreturn void psi(void)
{
	/* An event is told once: a child of fork does not share its parent's trigger. */
	if (psi_opener != os_pid())
		open_psi();
	while (psi_fd >= 0 && !os_psi_wait(psi_fd)) {
		kmalloc_drain_idle();
		reclaim_pressure();
		if (reclaim_allowed())
			kmalloc_purge();
	}
	/* The program has closed it: there is nothing left to wait for. */
	for (;;)
		os_sleep(UINT32_MAX);
}

static void start(struct os_thread *t, const char *name, void (*fn)(void))
{
	int err;

	slot_note_threads(true);
	err = os_thread_start(t, name, fn);
	if (err)
		warn("%s: no thread, error %d; memory goes back by free() alone", name, -err);
}

static void wake(void)
{
	if (os_pid() != owner)
		return;
	kswapd_mark = SIZE_MAX;
	if (tune.psi && !psi_started && psi_fd >= 0) {
		psi_started = true;
		start(&psi_thread, "kswapd-psi", psi);
	}
	if (!tune.kswapd)
		return;
	WRITE_ONCE(awake, 1);
	if (kswapd_started) {
		os_futex_wake(&awake, 1);
		return;
	}
	kswapd_started = true;
	start(&kswapd_thread, "kswapd", kswapd);
}

void kswapd_init(void)
{
	owner = os_pid();
	if (tune.psi)
		open_psi();
	kswapd_wake = wake;
	/* By nobody yet: no thread has been started, and no other is here. */
	store_release(&kswapd_mark, tune.kswapd_keep >> PAGE_SHIFT);
}

void kswapd_fork_child(void)
{
	if (!kswapd_wake)
		return;
	owner = os_pid();
	os_thread_fork_child();
	slot_note_threads(false);
	kswapd_started = psi_started = false;
	kswapd_mark = tune.kswapd_keep >> PAGE_SHIFT;
}
