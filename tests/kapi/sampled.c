/* SPDX-License-Identifier: MIT */
/*
 * Blocks of the kernel's API in a profile: with so small a mean each is as good as certain to be a
 * sample, so the estimates are the numbers themselves.
 */
#include "tap.h"

#include "stele.h"

#define MEAN	"16"
#define KEPT	1000
#define FREED	500
#define SIZE	200

static void *kept[KEPT];

static size_t in_use, in_use_bytes, allocated;

/* Sums up what stands in a snapshot. */
static bool read_snapshot(const char *file)
{
	FILE *in = fopen(file, "r");
	char line[4096];
	size_t v[4];
	bool whole = false;

	in_use = in_use_bytes = allocated = 0;
	while (in && fgets(line, sizeof(line), in)) {
		whole = !strncmp(line, "end ", 4);
		if (sscanf(line, "alloc %*u %zu %zu %zu %zu", &v[0], &v[1], &v[2], &v[3]) != 4)
			continue;
		in_use += v[0];
		in_use_bytes += v[1];
		allocated += v[2];
	}
	if (in)
		fclose(in);
	return whole;
}

static bool is_near(size_t have, size_t want)
{
	return have + want / 20 >= want && have <= want + want / 20;
}

/* A cache for which no class is left: its objects are kmalloc's blocks. */
static struct stele_kmem_cache *merged_cache(void)
{
	char name[32];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "fills-%d", i);
		stele_kmem_cache_create(name, 8 * (size_t)(i + 40), 0, 0, NULL);
	}
	return stele_kmem_cache_create("merged", SIZE, 0, 0, NULL);
}

static int allocate(const char *how)
{
	struct stele_kmem_cache *cache = merged_cache();
	bool zero = !strcmp(how, "kzalloc"), large = !strcmp(how, "large");
	bool merged = !strcmp(how, "merged");

	if (!cache)
		return 9;
	for (size_t i = 0; i < KEPT; i++) {
		unsigned char *p = merged ? stele_kmem_cache_alloc(cache, STELE_GFP_KERNEL) :
			    stele_kmalloc(large ? 50000 : SIZE,
					  STELE_GFP_KERNEL | (zero ? STELE_GFP_ZERO : 0));

		if (!p || (uintptr_t)p % 8)
			return 9;
		for (size_t k = 0; zero && k < SIZE; k++)
			if (p[k])
				return 8;
		memset(p, 1, SIZE);
		kept[i] = p;
	}
	for (size_t i = 0; i < FREED; i++) {
		if (merged)
			stele_kmem_cache_free(cache, kept[i]);
		else if (i % 2 || large)	/* large ones would be put aside */
			stele_kfree(kept[i]);
		else
			stele_kfree_nolock(kept[i]);
		kept[i] = NULL;
	}
	return 0;
}

static void test(const char *how, size_t size)
{
	char file[] = "/tmp/stele-sampled-XXXXXX", conf[200];
	int fd = mkstemp(file), status = -1;
	pid_t child;

	snprintf(conf, sizeof(conf), "profile=%s,profile_output=%s", MEAN, file);
	child = fork();
	if (!child) {
		setenv("STELE_CONF", conf, 1);
		execl("/proc/self/exe", "sampled", how, (char *)NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	OK(fd >= 0 && !status && read_snapshot(file), "%s: runs, and leaves a profile (%d)", how, status);
	OK(is_near(in_use, KEPT - FREED) && is_near(in_use_bytes, (KEPT - FREED) * size) &&
	   is_near(allocated, KEPT),
	   "%s: %zu blocks of %zu bytes in use, %zu allocated", how, in_use, in_use_bytes, allocated);
	unlink(file);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return allocate(argv[1]);
	test("kmalloc", SIZE);
	test("kzalloc", SIZE);
	test("large", 50000);
	test("merged", SIZE);
	return tap_end();
}
