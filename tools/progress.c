/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define FIRST_MS 300
#define EACH_MS	 100
#define WIDTH	 30

static struct {
	const char *what;
	size_t total, done;
	long next_ms;
	bool terminal, shown;
} bar;

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_begin(const char *what, size_t total)
{
	bar.what = what;
	bar.total = total;
	bar.done = 0;
	bar.shown = false;
	bar.terminal = isatty(STDERR_FILENO);
	bar.next_ms = now_ms() + FIRST_MS;
}

void progress_step(void)
{
	size_t full;

	bar.done++;
	if (!bar.terminal || bar.total == 0 || now_ms() < bar.next_ms)
		return;
	full = WIDTH * bar.done / bar.total;
	fprintf(stderr, "\rstele: %s [%.*s%*s] %zu of %zu", bar.what, (int)full,
		"##############################", (int)(WIDTH - full), "", bar.done, bar.total);
	fflush(stderr);
	bar.shown = true;
	bar.next_ms = now_ms() + EACH_MS;
}

void progress_end(void)
{
	if (bar.shown)
		fputs("\r\033[K", stderr);
	bar.shown = false;
}
