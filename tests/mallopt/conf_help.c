/* SPDX-License-Identifier: MIT */
/* STELE_CONF=help and confirm print every tunable with its value and with where the value came from. */
#include <malloc.h>

#include "again.h"

/* The line of the table that begins with @name, as "value source". */
static void entry(const char *name, char *value, char *source)
{
	size_t len = strlen(name);

	for (const char *line = again_text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == ' ') {
			CHECK(sscanf(line + len, "%63s %63s", value, source) == 2, "%s", line);
			return;
		}
	}
	CHECK(0, "no line for %s in: %s", name, again_text);
}

static void expect(const char *name, const char *value, const char *source)
{
	char v[64], s[64];

	entry(name, v, s);
	CHECK(strcmp(v, value) == 0 && strcmp(s, source) == 0, "%s is %s from %s, not %s from %s",
	      name, v, s, value, source);
}

static void defaults(void)
{
	static const char *const env[] = { "STELE_CONF=help", NULL };

	again_expect("run", env);
	expect("trim_threshold", "131072", "default");
	expect("top_pad", "131072", "default");
	expect("mmap_threshold", "131072", "default");
	expect("mmap_max", "65536", "default");
	expect("perturb", "0", "default");
	expect("arena_test", "8", "default");
	expect("arena_max", "0", "default");
	expect("check", "3", "default");
	expect("mxfast", "128", "default");
}

static void sources(void)
{
	static const char *const env[] = {
		"MALLOC_TOP_PAD_=4096", "MALLOC_MMAP_MAX_=9", "MALLOC_PERTURB_=7",
		"GLIBC_TUNABLES=glibc.malloc.mmap_max=8:glibc.malloc.arena_max=2",
		"STELE_CONF=trim_threshold=1M,perturb=0x11,help", NULL,
	};

	again_expect("run", env);
	expect("top_pad", "4096", "environment");
	expect("mmap_max", "8", "GLIBC_TUNABLES");
	expect("arena_max", "2", "GLIBC_TUNABLES");
	expect("trim_threshold", "1048576", "STELE_CONF");
	expect("perturb", "17", "STELE_CONF");
	expect("mmap_threshold", "131072", "default");
	CHECK(again_count("bad value") == 0, "a warning: %s", again_text);
}

/* The word may stand anywhere: the table shows what holds after the whole of the variable. */
static void at_the_front(void)
{
	static const char *const env[] = { "STELE_CONF=help,top_pad=64K,mmap_max=1", NULL };

	again_expect("run", env);
	expect("top_pad", "65536", "STELE_CONF");
	expect("mmap_max", "1", "STELE_CONF");
}

/* confirm prints what is in force and why, without the meaning, and in the form it is set by. */
static void confirms(void)
{
	static const char *const env[] = {
		"MALLOC_TOP_PAD_=4096", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1",
		"STELE_CONF=thp=never,skip=a:b,trim_threshold=-1,confirm", NULL,
	};

	again_expect("run", env);
	CHECK(again_count("stele: top_pad=4096 (environment)\n") == 1, "%s", again_text);
	CHECK(again_count("stele: hugetlb=1 (GLIBC_TUNABLES)\n") == 1, "%s", again_text);
	CHECK(again_count("stele: thp=never (STELE_CONF)\n") == 1, "%s", again_text);
	CHECK(again_count("stele: skip=a:b (STELE_CONF)\n") == 1, "%s", again_text);
	CHECK(again_count("stele: trim_threshold=-1 (STELE_CONF)\n") == 1, "%s", again_text);
	CHECK(again_count("stele: mmap_max=65536 (default)\n") == 1, "%s", again_text);
	CHECK(again_count("\n") == again_count("stele: ") && again_count("\n") > 15, "%s",
	      again_text);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (!hard_on_stele())
		SKIP("plain libc has no such variable");
	if (argc > 1) {
		free(hard_malloc(100));
		return 0;
	}
	defaults();
	sources();
	at_the_front();
	confirms();
	return 0;
}
