/* SPDX-License-Identifier: MIT */
/*
 * Many short threads, two at a time: each allocates 100 blocks, frees most of them and leaves
 * the last ten for the main thread to free after it has ended.
 */
#include "bench.h"

#define BLOCKS	100
#define LEFT	10
#define PAIR	2

struct life {
	uint64_t rng;
	void *left[LEFT];
};

static void *life_main(void *arg)
{
	struct life *life = arg;
	void *block[BLOCKS];
	int i;

	for (i = 0; i < BLOCKS; i++)
		block[i] = bench_malloc(bench_range(&life->rng, 16, 2000));
	for (i = 0; i < BLOCKS - LEFT; i++)
		free(block[i]);
	memcpy(life->left, block + i, sizeof(life->left));
	return NULL;
}

int main(int argc, char **argv)
{
	struct life life[PAIR];
	uint64_t round, rounds;
	int i, j;

	while (bench_getopt(argc, argv, "") != -1)
		;
	rounds = bench_count(12e3);
	for (i = 0; i < PAIR; i++)
		life[i].rng = bench_seed(300 + (uint64_t)i);

	bench_begin();
	for (round = 0; round < rounds; round++) {
		pthread_t tid[PAIR];

		for (i = 0; i < PAIR; i++)
			if (pthread_create(&tid[i], NULL, life_main, &life[i]))
				bench_die("cannot start a thread");
		for (i = 0; i < PAIR; i++) {
			pthread_join(tid[i], NULL);
			for (j = 0; j < LEFT; j++)
				free(life[i].left[j]);
		}
	}
	bench_end(rounds * PAIR * BLOCKS * 2);
	return 0;
}
