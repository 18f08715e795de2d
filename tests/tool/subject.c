/* SPDX-License-Identifier: MIT */
/*
 * Writes a snapshot as the library would, of stacks of its own: plain and inlined functions, one of C++,
 * a plugin that is unloaded again, and another at its place. Usage: subject PLUGIN1 PLUGIN2.
 * Not part of the allocator's test: the numbers are made up, the addresses are real.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <execinfo.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAMES 32

static unsigned long lines;
static unsigned generation, stacks;

/* What a snapshot says of roots. */
struct list {
	void *first, *last;
};
struct list held_here;
static int counter_of_the_file[4] = { 1, 2, 3, 4 };

unsigned cxx_caller(unsigned (*capture)(void));

static void put(const char *text)
{
	for (; *text; text++)
		printf(*text > 0x20 && *text < 0x7f && *text != '%' ? "%c" : "%%%02X",
		       (unsigned char)*text);
}

/* A stack without this frame; the address after the call is its first. */
__attribute__((noinline)) unsigned capture(void)
{
	void *pcs[FRAMES];
	int n = backtrace(pcs, FRAMES), i;

	printf("stack %u %u", ++stacks, generation);
	for (i = 1; i < n; i++)
		printf(" %" PRIxPTR, (uintptr_t)pcs[i]);
	putchar('\n');
	lines++;
	return stacks;
}

static inline __attribute__((always_inline)) unsigned inner_inline(void)
{
	return capture() + 0;
}

static inline __attribute__((always_inline)) unsigned outer_inline(void)
{
	unsigned id = inner_inline();

	counter_of_the_file[0]++;
	return id;
}

__attribute__((noinline)) unsigned leak_plain(void)
{
	unsigned id = capture();

	counter_of_the_file[1]++;
	return id;
}

__attribute__((noinline)) unsigned leak_inlined(void)
{
	unsigned id = outer_inline();

	counter_of_the_file[2]++;
	return id;
}

static void put_build_id(const struct dl_phdr_info *info)
{
	int i;
	ElfW(Word) k;

	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *at = (const char *)info->dlpi_addr + ph->p_vaddr, *end = at + ph->p_memsz;

		while (ph->p_type == PT_NOTE && at + sizeof(ElfW(Nhdr)) <= end) {
			const ElfW(Nhdr) *note = (const void *)at;
			const unsigned char *desc =
				(const void *)(at + sizeof(*note) + (note->n_namesz + 3) / 4 * 4);

			if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4) {
				for (k = 0; k < note->n_descsz; k++)
					printf("%02x", desc[k]);
				return;
			}
			at = (const char *)desc + (note->n_descsz + 3) / 4 * 4;
		}
	}
	putchar('-');
}

static int put_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *only = arg;
	char self[4096];
	const char *path = info->dlpi_name;
	uintptr_t start = UINTPTR_MAX, end = 0;
	ssize_t len;
	int i;

	(void)size;
	if (*path == '\0') {
		len = readlink("/proc/self/exe", self, sizeof(self) - 1);
		self[len > 0 ? len : 0] = '\0';
		path = self;
	}
	if (only && strcmp(only, path) != 0)
		return 0;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type != PT_LOAD)
			continue;
		if (info->dlpi_addr + ph->p_vaddr < start)
			start = info->dlpi_addr + ph->p_vaddr;
		if (info->dlpi_addr + ph->p_vaddr + ph->p_memsz > end)
			end = info->dlpi_addr + ph->p_vaddr + ph->p_memsz;
	}
	printf("module %" PRIxPTR " %" PRIxPTR " %" PRIxPTR, start & ~4095ul, (end + 4095) & ~4095ul,
	       (uintptr_t)info->dlpi_addr);
	if (only)
		printf(" %u ", generation + 1);
	else
		printf(" - ");
	put_build_id(info);
	putchar(' ');
	put(path);
	putchar('\n');
	lines++;
	return 0;
}

/* Calls capture() from a plugin, and unloads it if told to. */
static __attribute__((noinline)) unsigned from_plugin(char *path, int unload)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	unsigned (*call)(unsigned (*)(void)) =
		plugin ? (unsigned (*)(unsigned (*)(void)))dlsym(plugin, "plugin_call") : NULL;
	unsigned id;

	if (call == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	id = call(capture);
	if (unload) {
		dl_iterate_phdr(put_module, path);
		dlclose(plugin);
		generation++;
	}
	return id;
}

static void put_root(unsigned id, const char *path, const struct dl_phdr_info *exe, const void *at)
{
	printf("root %u data ", id);
	put(path);
	printf("+%" PRIxPTR "\n", (uintptr_t)at - (uintptr_t)exe->dlpi_addr);
	lines++;
}

static int first_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	*(struct dl_phdr_info *)arg = *info;
	return 1;
}

int main(int argc, char **argv)
{
	struct dl_phdr_info exe;
	unsigned plain, inlined, cxx, plugin1, plugin2;
	const char *scale = getenv("SCALE");
	unsigned times = scale ? (unsigned)atoi(scale) : 1;
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (argc != 3 || len < 0)
		return 2;
	path[len] = '\0';
	puts("stele-snapshot 1");
	printf("process %d %d ", 4242, 1);
	put(path);
	puts(" /tmp");
	puts("arg subject\narg two%20words%25");
	puts("reason exit");
	printf("time 1700000000000000000 %u\n", 5000 * times);
	puts("mode leak\nunwind memo 64");
	puts("heap 40000 100 2000000 3000000\nscan 2 2 1048576 900 1200");
	puts("novelty of a later version");
	lines = 11;
	plain = leak_plain();
	inlined = leak_inlined();
	cxx = cxx_caller(capture);
	plugin1 = from_plugin(argv[1], 1);
	plugin2 = from_plugin(argv[2], 0);
	dl_iterate_phdr(put_module, NULL);
	dl_iterate_phdr(first_module, &exe);
	put_root(1, path, &exe, &held_here.last);
	put_root(2, path, &exe, &counter_of_the_file[0]);
	puts("root 3 stack 77 worker%20one\nroot 4 heap");
	printf("leak direct %u %u %u 1000 2000 7f0000001000 - -\n", plain, 2 * times, 200 * times);
	printf("leak indirect %u 3 300 1000 1000 7f0000002000 - %u\n", inlined, plain);
	printf("leak possible %u 1 50 10 10 7f0000003000 - -\n", cxx);
	printf("leak direct %u 1 5000 3000 3000 7f0000004000 - -\n", plugin1);
	printf("leak direct %u 1 10 4000 4000 7f0000005000 - -\n", plugin2);
	printf("leak reachable %u 7 7000 1 1 7f0000006000 1 -\n", plain);
	printf("leak reachable %u 1 1 1 1 7f0000006100 2 -\n", plain);
	printf("leak reachable %u 1 70 1 1 7f0000007000 3 -\n", cxx);
	printf("leak young 0 1 7 0 0 7f0000008000 - - more fields\n");
	puts("point 0 100 1000\npoint 2500 20000 1500000\npoint 5000 40000 2000000");
	lines += 2 + 9 + 3;
	printf("end %lu\n", lines);
	return 0;
}
