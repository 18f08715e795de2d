/* SPDX-License-Identifier: MIT */
/*
 * A logger for signal handlers.
 *
 * The handler may have interrupted malloc() itself, so malloc() is not for it. A
 * request with STELE_GFP_ATOMIC is: it takes no lock that somebody holds, makes no
 * system call, and has a reserve to live on. The records go on a list that needs no
 * lock, and the program writes them out when it gets to it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <stele.h>

struct record {
	struct record *next;
	struct timespec when;
	int signal;
	char text[72];
};

static struct stele_kmem_cache *records;
static struct record *head;		/* the newest; atomic */
static volatile unsigned long lost;	/* no memory at that moment */

/* In a handler: no printf(), no malloc(), errno as it was. */
static void log_signal(int sig, const char *text)
{
	int saved = errno;
	struct record *r = stele_kmem_cache_alloc(records, STELE_GFP_ATOMIC);

	if (!r) {
		lost++;
		errno = saved;
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &r->when);
	r->signal = sig;
	strncpy(r->text, text, sizeof(r->text) - 1);
	r->text[sizeof(r->text) - 1] = '\0';
	r->next = __atomic_load_n(&head, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&head, &r->next, r, 1, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	errno = saved;
}

static void on_alarm(int sig)
{
	log_signal(sig, "the timer went off");
}

/* In the program: the records in the order in which they were made. */
static unsigned long write_out(int show)
{
	struct record *r = __atomic_exchange_n(&head, NULL, __ATOMIC_ACQUIRE), *list = NULL;
	unsigned long n = 0;

	while (r) {
		struct record *next = r->next;

		r->next = list;
		list = r;
		r = next;
	}
	while (list) {
		struct record *next = list->next;

		if (show && n < 3)
			printf("%ld.%06ld signal %d: %s\n", (long)list->when.tv_sec,
			       list->when.tv_nsec / 1000, list->signal, list->text);
		stele_kmem_cache_free(records, list);
		list = next;
		n++;
	}
	return n;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 200 }, { 0, 200 } }, never = { { 0, 0 }, { 0, 0 } };
	unsigned long written = 0, requests = 0;
	void *block[64] = { NULL };
	time_t end;

	records = stele_kmem_cache_create("log record", sizeof(struct record), 0, 0, NULL);
	/* 64 pages in memory, for handlers: a slab of records is 16. */
	if (!records || stele_reserve_fill(64))
		return EXIT_FAILURE;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);

	/* The program goes on allocating, and is interrupted wherever it happens to be. */
	end = time(NULL) + 2;
	while (time(NULL) < end) {
		for (int i = 0; i < 10000; i++, requests++) {
			free(block[i % 64]);
			block[i % 64] = malloc((size_t)i % 3000);
		}
		written += write_out(!written);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	written += write_out(0);
	for (int i = 0; i < 64; i++)
		free(block[i]);
	printf("%lu records written, %lu lost, during %lu requests\n", written, lost, requests);
	if (written < 100 || lost > written / 10 || stele_kmem_cache_destroy(records))
		return EXIT_FAILURE;
	stele_reserve_fill(0);
	return EXIT_SUCCESS;
}
