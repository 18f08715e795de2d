/* SPDX-License-Identifier: MIT */
/*
 * The program exports names that an allocator built like the kernel's might use inside.
 * They are the program's own: the library must never reach them.
 */
#include <malloc.h>

#include "hard.h"

#define OWN(name) \
	void name(void); \
	void name(void) \
	{ \
		CHECK(0, "the library called the program's " #name); \
	}

OWN(kmalloc)
OWN(kfree)
OWN(kzalloc)
OWN(krealloc)
OWN(ksize)
OWN(vmalloc)
OWN(vfree)
OWN(buddy_alloc)
OWN(buddy_free)
OWN(slab_alloc)
OWN(slab_free)
OWN(sheaf_alloc)
OWN(barn_get)
OWN(page_alloc)
OWN(page_free)
OWN(zone_init)
OWN(zone_grow)
OWN(os_map)
OWN(os_unmap)
OWN(os_brk)
OWN(lock_init)
OWN(lock)
OWN(unlock)
OWN(init)
OWN(fini)
OWN(bug)
OWN(print)
OWN(reclaim)
OWN(fork_child)
OWN(percpu)
OWN(section)
OWN(tunables)
OWN(tunables_init)
OWN(stats)

static void *worker(void *arg)
{
	uint64_t rnd = hard_seed((uintptr_t)arg);
	void *p[64] = { NULL };
	unsigned int i;

	for (i = 0; i < 50000; i++) {
		size_t j = hard_rand(&rnd) % ARRAY_LEN(p);

		free(p[j]);
		p[j] = i % 3 ? malloc(hard_rand_size(&rnd, 20)) : calloc(3, 100);
	}
	for (i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	return NULL;
}

int main(void)
{
	pthread_t t[2];
	void *p = hard_malloc(100);
	pid_t pid;

	hard_start(&t[0], worker, (void *)1);
	hard_start(&t[1], worker, (void *)2);
	hard_join(t[0]);
	hard_join(t[1]);
	p = realloc(p, 5 * MIB);
	free(p);
	free(memalign(MIB, MIB));
	malloc_trim(0);
	mallopt(M_MMAP_MAX, 0);
	CHECK(mallinfo2().arena + mallinfo2().hblkhd > 0, "mallinfo2 says nothing is there");
	worker((void *)3);
	pid = fork();
	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0) {
		worker((void *)4);
		exit(0);
	}
	hard_reap(pid, "child");
	return 0;
}
