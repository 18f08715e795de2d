/* SPDX-License-Identifier: MIT */
/*
 * Pointers that free must refuse. Each sub-case runs in a process of its own, which says on
 * stdout which address it will misuse. It must die of SIGABRT after exactly one line on
 * stderr that begins with "stele: ", fits the pattern and names the address.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <regex.h>
#include <signal.h>

#include "hard.h"

#define UNMAPPED ((uintptr_t)0x123456789000)
#define TEXT_MAX 8192

static int data_word = 1;

static void *announce(void *p)
{
	dprintf(1, "0x%lx\n", (unsigned long)(uintptr_t)p);
	return hard_hide(p);
}

/* A cached object is looked at again when the caches are flushed, at the latest here. */
static void settle(size_t n)
{
	static void *p[20000];
	size_t i;

	malloc_trim(0);
	for (i = 0; i < ARRAY_LEN(p); i++)
		p[i] = malloc(n);
	for (i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
	malloc_trim(0);
}

static void misuse(void *p, size_t n)
{
	free(announce(p));
	settle(n);
}

static void twice(size_t n)
{
	void *p = hard_malloc(n), *neighbour = hard_malloc(n);

	free(announce(p));
	misuse(p, n < 4096 ? n : 64);
	free(neighbour);
}

static void inside(size_t n, size_t offset)
{
	char *p = hard_malloc(n);

	misuse(p + offset, n < 4096 ? n : 64);
}

static void wild_unmapped(void)
{
	misuse((void *)UNMAPPED, 64);
}

static void wild_low(void)
{
	misuse((void *)(uintptr_t)0x40, 64);
}

static void wild_kernel_half(void)
{
	misuse((void *)(UINTPTR_MAX - 0xfff), 64);
}

static void wild_odd(void)
{
	misuse((void *)(UNMAPPED + 1), 64);
}

static void wild_data(void)
{
	misuse(&data_word, 64);
}

static void wild_stack(void)
{
	long local[16] = { 0 };

	misuse(&local[4], 64);
}

static void wild_realloc(void)
{
	CHECK(realloc(announce((void *)UNMAPPED), 100), "realloc came back");
}

static void double_small(void)
{
	twice(64);
}

static void double_medium(void)
{
	twice(3000);
}

static void double_churn(void)
{
	void *p = hard_malloc(200);

	free(announce(p));
	free(hard_malloc(200));
	free(hard_hide(p));
	settle(200);
}

static void *free_in_thread(void *p)
{
	free(p);
	return NULL;
}

static void double_threads(void)
{
	void *p = hard_malloc(64);
	pthread_t t;

	hard_start(&t, free_in_thread, announce(p));
	hard_join(t);
	misuse(p, 64);
}

static void double_realloc(void)
{
	void *p = hard_malloc(100), *stale = hard_hide(p);

	CHECK(realloc(p, 200000), "realloc");
	misuse(stale, 100);
}

static void double_64k(void)
{
	twice(64 * KIB);
}

static void double_mapped(void)
{
	twice(MIB);
}

static void double_huge(void)
{
	twice(64 * MIB);
}

static void inside_small(void)
{
	inside(64, 16);
}

static void inside_medium(void)
{
	inside(3000, 1024);
}

static void inside_64k(void)
{
	inside(64 * KIB, 8192);
}

static void inside_mapped(void)
{
	inside(MIB, 8192);
}

static void misaligned_slab(void)
{
	inside(64, 8);
}

static void odd_slab(void)
{
	inside(64, 1);
}

static void size_free_sized(void)
{
	void (*fn)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");

	CHECK(fn, "free_sized is absent");
	fn(announce(hard_malloc(64)), 3000);
	settle(64);
}

static void size_delete(void)
{
	void (*fn)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "_ZdlPvm");

	CHECK(fn, "operator delete(void *, size_t) is absent");
	fn(announce(hard_malloc(3000)), 64);
	settle(64);
}

/* A freed mapping is gone: whether it is still known as such is left open. */
static const struct sub_case {
	const char *name;
	const char *pattern;
	void (*run)(void);
} sub_cases[] = {
	{ "wild_unmapped", "wild pointer", wild_unmapped },
	{ "wild_low", "wild pointer", wild_low },
	{ "wild_kernel_half", "wild pointer", wild_kernel_half },
	{ "wild_odd", "wild pointer|invalid free", wild_odd },
	{ "wild_data", "wild pointer", wild_data },
	{ "wild_stack", "wild pointer", wild_stack },
	{ "wild_realloc", "wild pointer", wild_realloc },
	{ "double_small", "double free", double_small },
	{ "double_medium", "double free", double_medium },
	{ "double_churn", "double free", double_churn },
	{ "double_threads", "double free", double_threads },
	{ "double_realloc", "double free", double_realloc },
	{ "double_64k", "double free|invalid free", double_64k },
	{ "double_mapped", "double free|invalid free|wild pointer", double_mapped },
	{ "double_huge", "double free|invalid free|wild pointer", double_huge },
	{ "inside_small", "invalid free", inside_small },
	{ "inside_medium", "invalid free", inside_medium },
	{ "inside_64k", "invalid free", inside_64k },
	{ "inside_mapped", "invalid free", inside_mapped },
	{ "misaligned_slab", "invalid free", misaligned_slab },
	{ "odd_slab", "invalid free", odd_slab },
	{ "size_free_sized", "size mismatch", size_free_sized },
	{ "size_delete", "size mismatch", size_delete },
};

static void read_all(int fd, char *text)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, TEXT_MAX - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fd);
}

static int run_child(const char *self, const char *name, char *out, char *err)
{
	int o[2], e[2], status;
	pid_t pid;

	CHECK(pipe2(o, O_CLOEXEC) == 0 && pipe2(e, O_CLOEXEC) == 0, "pipe: errno %d", errno);
	pid = fork();
	CHECK(pid >= 0, "fork: errno %d", errno);
	if (pid == 0) {
		dup2(o[1], 1);
		dup2(e[1], 2);
		execl("/proc/self/exe", self, name, (char *)NULL);
		_exit(127);
	}
	close(o[1]);
	close(e[1]);
	read_all(o[0], out);
	read_all(e[0], err);
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid: errno %d", errno);
	return status;
}

static int fits(const char *pattern, const char *text)
{
	regex_t re;
	int ret;

	CHECK(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB | REG_ICASE) == 0, "%s", pattern);
	ret = regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	return ret == 0;
}

/* Says what is wrong with the child's end, or NULL. */
static const char *judge(const struct sub_case *c, int status, char *addr, char *err)
{
	char report[TEXT_MAX] = "";
	char *line, *save;
	int count = 0;

	for (line = strtok_r(err, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "stele: ", 7) != 0)
			continue;
		strcpy(report, line);
		count++;
	}
	addr[strcspn(addr, "\n")] = '\0';
	if (!WIFSIGNALED(status))
		return "was not noticed";
	if (WTERMSIG(status) != SIGABRT)
		return "died of another signal than SIGABRT";
	if (count != 1)
		return count ? "more than one report" : "no report on stderr";
	strcpy(err, report);
	if (!fits(c->pattern, report))
		return "the report has other words";
	return strstr(report, addr) ? NULL : "the report lacks the address";
}

int main(int argc, char **argv)
{
	static char out[TEXT_MAX], err[TEXT_MAX];
	size_t i, bad = 0;

	for (i = 0; argc > 1 && i < ARRAY_LEN(sub_cases); i++) {
		if (strcmp(argv[1], sub_cases[i].name) == 0) {
			sub_cases[i].run();
			return 0;
		}
	}
	for (i = 0; i < ARRAY_LEN(sub_cases); i++) {
		int status = run_child(argv[0], sub_cases[i].name, out, err);
		const char *wrong = judge(&sub_cases[i], status, out, err);

		if (!wrong)
			continue;
		bad++;
		dprintf(2, "badptr %s: %s (status %#x, address %s, stderr: %.200s)\n",
			sub_cases[i].name, wrong, (unsigned int)status, out, err);
	}
	return bad ? 1 : 0;
}
