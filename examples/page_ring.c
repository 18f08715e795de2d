/* SPDX-License-Identifier: MIT */
/*
 * Pages: a ring that hands whole blocks of pages from one thread to another.
 *
 * Good for what moves data in bulk and must not copy it: capture and playback,
 * packets, O_DIRECT files (which want memory at multiples of the page size). The
 * writer takes a block, fills it and puts its address into the ring; the reader
 * uses it and gives it back. Nothing is copied, and no block is written by two.
 *
 * A block of 2^n pages begins at a multiple of its size. So the head of a block is
 * found from any address inside of it by one mask: here each record can tell
 * when its block was filled, without a pointer of its own.
 *
 *	cc page_ring.c $(pkg-config --cflags --libs stele)
 */
#include <stele.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define ORDER	2		/* 4 pages a block */
#define SLOTS	16		/* a power of two */
#define BLOCKS	5000

struct block {
	uint64_t number;	/* which one this is */
	uint32_t records;
	uint32_t sum;
	uint32_t record[];
};

struct ring {
	_Alignas(64) atomic_uint head;	/* the writer's: blocks put in */
	_Alignas(64) atomic_uint tail;	/* the reader's: blocks taken out */
	struct block *slot[SLOTS];
};

static size_t block_size(void)
{
	return stele_page_size() << ORDER;
}

/* From a record to its block. */
static struct block *block_of(const uint32_t *record)
{
	return (struct block *)((uintptr_t)record & ~(block_size() - 1));
}

static void *writer(void *arg)
{
	struct ring *ring = arg;
	uint32_t x = 1;

	for (unsigned n = 0; n < BLOCKS; n++) {
		struct block *b = stele_get_free_pages(STELE_GFP_KERNEL, ORDER);

		if (!b)
			abort();
		b->number = n;
		b->sum = 0;
		b->records = (uint32_t)((block_size() - sizeof(*b)) / sizeof(b->record[0]));
		for (uint32_t i = 0; i < b->records; i++) {
			x = x * 1664525 + 1013904223;
			b->record[i] = x;
			b->sum += x;
		}
		while (n - atomic_load_explicit(&ring->tail, memory_order_acquire) == SLOTS)
			sched_yield();
		ring->slot[n % SLOTS] = b;
		atomic_store_explicit(&ring->head, n + 1, memory_order_release);
	}
	return NULL;
}

int main(void)
{
	static struct ring ring;
	pthread_t thread;
	uint64_t bytes = 0;

	if (pthread_create(&thread, NULL, writer, &ring))
		return EXIT_FAILURE;
	for (unsigned n = 0; n < BLOCKS; n++) {
		struct block *b;
		uint32_t sum = 0;

		while (atomic_load_explicit(&ring.head, memory_order_acquire) == n)
			sched_yield();
		b = ring.slot[n % SLOTS];
		atomic_store_explicit(&ring.tail, n + 1, memory_order_release);

		for (uint32_t i = 0; i < b->records; i++)
			sum += b->record[i];
		if (b->number != n || b->sum != sum || block_of(&b->record[n % b->records]) != b) {
			fprintf(stderr, "block %u is damaged\n", n);
			return EXIT_FAILURE;
		}
		bytes += block_size();
		stele_free_pages(b, ORDER);
	}
	pthread_join(thread, NULL);
	printf("%d blocks, %llu MiB handed over, none copied\n", BLOCKS,
	       (unsigned long long)bytes >> 20);
	return EXIT_SUCCESS;
}
