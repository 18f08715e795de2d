/* SPDX-License-Identifier: MIT */
/*
 * The time, from the kernel's vDSO. Not by way of clock_gettime(): libraries take its place
 * that allocate at the first call (libfaketime), or cannot be called before they have begun
 * (sanitizers), and we ask in the middle of a request.
 *
 *	AT_SYSINFO_EHDR -> ELF header -> PT_LOAD, the shift of its addresses
 *			-> PT_DYNAMIC -> DT_SYMTAB | DT_STRTAB, one behind the other
 */
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include "os/os.h"
#include "os/syscall.h"

#if defined(__x86_64__)
#define NAME "__vdso_clock_gettime"
#else
#define NAME "__kernel_clock_gettime"
#endif

typedef int clock_fn(clockid_t clock, struct timespec *ts);

static int by_call(clockid_t clock, struct timespec *ts)
{
	return (int)raw_syscall(SYS_clock_gettime, clock, ts, 0, 0);
}

static __setup clock_fn *find_clock(const ElfW(Ehdr) *image)
{
	const ElfW(Phdr) *ph = (const void *)((const char *)image + image->e_phoff);
	const ElfW(Dyn) *dyn = NULL;
	const ElfW(Sym) *sym = NULL;
	const char *names = NULL;
	uintptr_t shift = 0;

	for (size_t i = 0; i < image->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && !shift)
			shift = (uintptr_t)image + ph[i].p_offset - ph[i].p_vaddr;
		else if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const void *)((const char *)image + ph[i].p_offset);
	}
	if (!shift || !dyn)
		return NULL;
	for (; dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_SYMTAB)
			sym = (const void *)(shift + dyn->d_un.d_ptr);
		else if (dyn->d_tag == DT_STRTAB)
			names = (const char *)(shift + dyn->d_un.d_ptr);
	}
	for (; sym && (const char *)(sym + 1) <= names; sym++) {
		if (sym->st_shndx != SHN_UNDEF && !strcmp(names + sym->st_name, NAME))
			return (clock_fn *)(shift + sym->st_value);
	}
	return NULL;
}

uint64_t os_now_ms(void)
{
	static clock_fn *found;
	clock_fn *fn = READ_ONCE(found);
	struct timespec ts;

	if (!fn) {
		const ElfW(Ehdr) *image = (const void *)getauxval(AT_SYSINFO_EHDR);

		fn = image ? find_clock(image) : NULL;
		if (!fn)
			fn = by_call;
		WRITE_ONCE(found, fn);
	}
	if (fn(CLOCK_MONOTONIC_COARSE, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
