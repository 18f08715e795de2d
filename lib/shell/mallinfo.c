/* SPDX-License-Identifier: MIT */
/* mallinfo, mallinfo2, malloc_stats, malloc_info. */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>

#include "base/fmt.h"
#include "life/init.h"
#include "observe/stats.h"
#include "os/bug.h"
#include "os/libc.h"

/* What the C library does not declare (musl; glibc before 2.33) is as in glibc's header. */
#ifndef HAVE_STRUCT_MALLINFO
struct mallinfo {
	int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
#endif
#ifndef HAVE_STRUCT_MALLINFO2
struct mallinfo2 {
	size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks,
	       keepcost;
};
#endif
struct mallinfo2 mallinfo2(void);
struct mallinfo mallinfo(void);
void malloc_stats(void);
int malloc_info(int options, FILE *stream);

__public struct mallinfo2 mallinfo2(void)
{
	struct heap_stats st;

	if (!READ_ONCE(life_ready))
		life_init();
	heap_stats(&st);
	return (struct mallinfo2){
		.arena = st.arena,
		.ordblks = st.ordblks,
		.hblks = st.hblks,
		.hblkhd = st.hblkhd,
		.uordblks = st.uordblks,
		.fordblks = st.fordblks,
		.keepcost = st.keepcost,
	};
}

/* The old interface has ints, and wraps as it always did. */
__public struct mallinfo mallinfo(void)
{
	struct mallinfo2 m = mallinfo2();

	return (struct mallinfo){
		.arena = (int)m.arena,
		.ordblks = (int)m.ordblks,
		.hblks = (int)m.hblks,
		.hblkhd = (int)m.hblkhd,
		.uordblks = (int)m.uordblks,
		.fordblks = (int)m.fordblks,
		.keepcost = (int)m.keepcost,
	};
}

__public void malloc_stats(void)
{
	struct heap_stats st;

	if (!READ_ONCE(life_ready))
		life_init();
	heap_stats(&st);
	report("Arena 0:");
	report("system bytes     = %10lu", (unsigned long)st.arena);
	report("in use bytes     = %10lu", (unsigned long)st.uordblks);
	report("Total (incl. mmap):");
	report("system bytes     = %10lu", (unsigned long)(st.arena + st.hblkhd));
	report("in use bytes     = %10lu", (unsigned long)(st.uordblks + st.hblkhd));
	report("max mmap regions = %10lu", (unsigned long)st.max_hblks);
	report("max mmap bytes   = %10lu", (unsigned long)st.max_hblkhd);
}

__public int malloc_info(int options, FILE *stream)
{
	struct heap_stats st;
	char buf[1536];
	size_t n;

	if (options)
		return EINVAL;
	if (!READ_ONCE(life_ready))
		life_init();
	heap_stats(&st);
	n = fmt_print(buf, sizeof(buf),
		      "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n</sizes>\n"
		      "<total type=\"fast\" count=\"0\" size=\"0\"/>\n"
		      "<total type=\"rest\" count=\"%lu\" size=\"%lu\"/>\n"
		      "<system type=\"current\" size=\"%lu\"/>\n"
		      "<system type=\"max\" size=\"%lu\"/>\n"
		      "<aspace type=\"total\" size=\"%lu\"/>\n"
		      "<aspace type=\"mprotect\" size=\"%lu\"/>\n</heap>\n",
		      (unsigned long)st.ordblks, (unsigned long)st.fordblks,
		      (unsigned long)st.arena, (unsigned long)st.max_arena,
		      (unsigned long)st.arena, (unsigned long)st.arena);
	n += fmt_print(buf + n, sizeof(buf) - n,
		       "<total type=\"fast\" count=\"0\" size=\"0\"/>\n"
		       "<total type=\"rest\" count=\"%lu\" size=\"%lu\"/>\n"
		       "<total type=\"mmap\" count=\"%lu\" size=\"%lu\"/>\n"
		       "<system type=\"current\" size=\"%lu\"/>\n"
		       "<system type=\"max\" size=\"%lu\"/>\n"
		       "<aspace type=\"total\" size=\"%lu\"/>\n"
		       "<aspace type=\"mprotect\" size=\"%lu\"/>\n</malloc>\n",
		       (unsigned long)st.ordblks, (unsigned long)st.fordblks,
		       (unsigned long)st.hblks, (unsigned long)st.hblkhd,
		       (unsigned long)st.arena, (unsigned long)st.max_arena,
		       (unsigned long)st.arena, (unsigned long)st.arena);
	/* The stream is the caller's, and stdio its business. */
	return LIBC(fwrite)(buf, 1, n, stream) == n ? 0 : errno;
}
