/* SPDX-License-Identifier: MIT */
/*
 * In secure mode the environment must not reach malloc. A copy of this program is made set-user-ID
 * and set-group-ID of somebody else and run with variables that would change what malloc does; the
 * original is run with them too, to see that they would.
 *
 * The dynamic linker preloads no library from outside its own directories in secure mode, so there
 * is a second build of this file that is linked to the library.
 */
#include <malloc.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "again.h"

#define SOMEBODY 65534

static void expect(int secure)
{
	size_t before, after;
	unsigned char *p;

	if (!!getauxval(AT_SECURE) != secure)
		_exit(HARD_SKIP);
	before = mallinfo2().hblks;
	p = hard_malloc(8 * MIB);
	after = mallinfo2().hblks;
	if (secure) {
		CHECK(after == before + 1, "mmap_max was taken from the environment");
		CHECK(p[100] == 0, "perturb was taken from the environment");
	} else {
		CHECK(after == before, "mmap_max was not taken from the environment");
		CHECK(p[100] == 0xa5, "perturb was not taken from the environment");
	}
	free(p);
}

static void copy(const char *from, const char *to)
{
	char buf[16384];
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	size_t n;

	CHECK(in && out, "cannot copy %s to %s: errno %d", from, to, errno);
	while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
		CHECK(fwrite(buf, 1, n, out) == n, "%s: errno %d", to, errno);
	fclose(in);
	CHECK(fclose(out) == 0, "%s: errno %d", to, errno);
}

static const char *const by_glibc[] = {
	"MALLOC_MMAP_MAX_=0", "MALLOC_PERTURB_=90", NULL,
};
static const char *const by_tunables[] = {
	"GLIBC_TUNABLES=glibc.malloc.mmap_max=0:glibc.malloc.perturb=90", NULL,
};
static const char *const by_conf[] = {
	"STELE_CONF=mmap_max=0,perturb=90,nonsense=1,help", NULL,
};

int main(int argc, char **argv)
{
	const char *const *env[] = { by_glibc, by_tunables, by_conf };
	char dir[] = "/tmp/secure.XXXXXX", path[64];
	int status[ARRAY_LEN(env)], talk = 0;
	size_t i, n = hard_on_stele() ? 3 : 2;

	if (argc > 1) {
		expect(strcmp(argv[1], "secure") == 0);
		return 0;
	}
	if (geteuid() != 0)
		SKIP("only root can make a program of somebody else");
	CHECK(mkdtemp(dir), "mkdtemp: errno %d", errno);
	CHECK(chmod(dir, 0755) == 0, "chmod: errno %d", errno);
	snprintf(path, sizeof(path), "%s/program", dir);
	copy("/proc/self/exe", path);
	CHECK(chown(path, SOMEBODY, SOMEBODY) == 0, "chown: errno %d", errno);
	CHECK(chmod(path, 06755) == 0, "chmod: errno %d", errno);
	for (i = 0; i < n; i++) {
		status[i] = again_run(path, "secure", env[i]);
		talk |= again_text[0] && status[i] != HARD_SKIP;
		if (status[i] && status[i] != HARD_SKIP)
			fprintf(stderr, "%s", again_text);
	}
	unlink(path);
	rmdir(dir);
	for (i = 0; i < n; i++) {
		if (status[i] == HARD_SKIP)
			SKIP("set-user-ID has no effect here");
		CHECK(status[i] == 0, "secure, %s: status %d", env[i][0], status[i]);
		again_expect("plain", env[i]);
	}
	CHECK(!talk, "something was written in secure mode");
	return 0;
}
