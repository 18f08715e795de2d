/* SPDX-License-Identifier: MIT */
/*
 * Four threads, each started when it is first needed, with all signals blocked,
 * unknown to libc, and never stopped by a report:
 *
 *	requests	sleeps until a signal of leak_signal= was handled
 *	control		opens the FIFO of leak_control= and reads words from it. The open
 *			waits for a writer: meanwhile no descriptor is held, which the
 *			program could close or hand on
 *	interval	sleeps for leak_interval= seconds, and for longer where reports
 *			would take more than a small share of the time
 *	history		looks at the size of the heap, first every leak_history= ms, and
 *			half as often each time that it has many points
 */
#include "observe/helper.h"

#include <string.h>

#include "observe/catch.h"
#include "observe/history.h"
#include "observe/leak.h"
#include "observe/names.h"
#include "observe/stop.h"
#include "observe/trigger.h"
#include "os/bug.h"
#include "os/proc.h"
#include "tune/tune.h"

#define SHARE		20u	/* reports may take 1/20 of the time */
#define LINE_BYTES	1024
#define RETRY_MS	1000u

enum { REQUESTS, CONTROL, INTERVAL, HISTORY, NR_HELPERS };
static_assert(NR_HELPERS <= NR_SPARED, "each is spared");

static struct {
	uint32_t alive;		/* its number; 1: being started; 0: none */
	void *area;
} helpers[NR_HELPERS];

static uint32_t requests;

static void spawn(unsigned which, void (*fn)(void *), void *arg)
{
	uint64_t blocked;
	uint32_t none = 0;

	if (!__atomic_compare_exchange_n(&helpers[which].alive, &none, 1, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	blocked = os_block_signals();
	stop_spare(which, &helpers[which].alive);
	if (os_spawn(fn, arg, helpers[which].area, &helpers[which].alive))
		warn("leaks: cannot start a thread for reports");
	os_set_blocked(blocked);
}

static void serve_requests(void *arg __unused_arg)
{
	uint32_t done = 0;

	os_name_thread("stele-leaks");
	for (;;) {
		uint32_t now = load_acquire(&requests);

		if (now == done) {
			os_futex_wait(&requests, now);
			continue;
		}
		done = now;
		leak_on_request("request", catch_name((int)tune.leak_signal));
	}
}

void helper_request(void)
{
	__atomic_add_fetch(&requests, 1, __ATOMIC_RELEASE);
	os_futex_wake(&requests, 1);
	if (helpers[REQUESTS].area)
		spawn(REQUESTS, serve_requests, NULL);
}

/* What was written to the control file: a word, as to kmemleak's. */
static void command(const char *line)
{
	if (!strcmp(line, "scan"))
		leak_on_request("request", "control");
	else if (*line)
		warn("leak_control: unknown word '%s': the word is scan", line);
}

static void read_commands(int fd)
{
	char line[LINE_BYTES];
	size_t len = 0;
	long n;
	char c;

	while ((n = os_read(fd, &c, 1)) == 1) {
		if (c != '\n' && len < sizeof(line) - 1) {
			line[len++] = c;
			continue;
		}
		line[len] = '\0';
		len = 0;
		command(line);
	}
	line[len] = '\0';
	command(line);
}

static void serve_control(void *path)
{
	os_name_thread("stele-control");
	for (;;) {
		int fd = os_open_read(path);

		if (fd < 0) {
			os_sleep_ms(RETRY_MS);
			continue;
		}
		read_commands(fd);
		os_close(fd);
	}
}

static void serve_interval(void *arg __unused_arg)
{
	uint64_t rest = tune.leak_interval * 1000;

	os_name_thread("stele-interval");
	for (;;) {
		uint64_t start, took;

		os_sleep_ms((unsigned)rest);
		start = os_clock_ns();
		leak_on_request("interval", "");
		took = (os_clock_ns() - start) / 1000000;
		rest = MAX(tune.leak_interval * 1000, took * (SHARE - 1));
	}
}

static void serve_history(void *arg __unused_arg)
{
	os_name_thread("stele-history");
	for (;;) {
		lock_acquire(&observe_lock);
		history_add();
		lock_release(&observe_lock);
		os_sleep_ms(history_period());
	}
}

static char control_path[LEAK_PATH_MAX];

static void start_control(void)
{
	int err;

	leak_expand(control_path, sizeof(control_path), leak_names.control, 0);
	err = os_make_fifo(control_path);
	if (err)
		warn("leak_control: %s is no FIFO, and cannot be made one: error %d",
		     control_path, -err);
	else
		spawn(CONTROL, serve_control, control_path);
}

static bool prepare(unsigned which)
{
	WRITE_ONCE(helpers[which].alive, 0);
	if (!helpers[which].area) {
		lock_acquire(&observe_lock);
		helpers[which].area = keep_alloc(os_thread_area());
		lock_release(&observe_lock);
	}
	return helpers[which].area;
}

void helper_start(void)
{
	if (tune.leak_signal)
		prepare(REQUESTS);
	if (leak_names.control[0] && prepare(CONTROL))
		start_control();
	if (tune.leak_interval && prepare(INTERVAL))
		spawn(INTERVAL, serve_interval, NULL);
	if (tune.leak_history && prepare(HISTORY))
		spawn(HISTORY, serve_history, NULL);
}
