/* SPDX-License-Identifier: MIT */
/*
 * arm64: what restartable sequences begin with, and those of the hit path.
 *
 * Order between CPUs. A sequence and whoever runs on its CPU before or after
 * it see each other's stores in program order. The only pointer that comes
 * from elsewhere is hit.region[number]: stored with release, and what it points
 * to is reached through it alone, so the loads depend on each other.
 */
#ifndef STELE_SLAB_PERCPU_RSEQ_ARM64_H
#define STELE_SLAB_PERCPU_RSEQ_ARM64_H

#define HAVE_RSEQ 1

/* The area of this thread, or a field of it. */
#define RSEQ_ADDRESS(offset)	((char *)__builtin_thread_pointer() + (offset))

/* Label 3: descriptor; 1..2: the sequence; 4: abort. */
#define RSEQ_BEGIN(abort_label) \
	".pushsection .data.rel.ro.rseq_cs, \"aw\"\n\t" \
	".balign 32\n" \
	"3:\n\t" \
	".long 0, 0\n\t" \
	".quad 1f, 2f - 1f, 4f\n\t" \
	".popsection\n\t" \
	".pushsection .text.rseq_abort, \"ax\"\n\t" \
	/* The signature: an instruction that traps, brk #0x45e0. */ \
	".inst 0xd428bc00\n" \
	"4:\n\t" \
	"b %l[" abort_label "]\n\t" \
	".popsection\n\t" \
	"adrp %[region], 3b\n\t" \
	"add %[region], %[region], :lo12:3b\n\t" \
	"str %[region], [%[area], #8]\n" \
	"1:\n\t"

/* Uses %[region] up. */
#define RSEQ_REGISTERED(label) \
	"ldr %w[region], [%[area], #4]\n\t" \
	"tbnz %w[region], #31, %l[" label "]\n\t"

#define rseq_hit_pop(class, obj, miss) \
	do { \
		struct region *region_; \
		struct sheaf *sheaf_; \
		size_t top_; \
		__asm__ __volatile__ goto( \
			RSEQ_BEGIN(#miss) \
			RSEQ_REGISTERED(#miss) \
			"ldr %w[region], [%[area], #24]\n\t" \
			"add %[region], %[hit_], %[region], lsl #3\n\t" \
			"ldr %[region], [%[region], #%c[regions]]\n\t" \
			"add %[sheaf], %[region], %[index], lsl #3\n\t" \
			"ldp %w[top], %w[out], [%[sheaf]]\n\t" \
			"cmp %w[top], %w[out]\n\t" \
			"b.ls %l[" #miss "]\n\t" \
			"sub %w[top], %w[top], #8\n\t" \
			"ldr %[out], [%[region], %[top]]\n\t" \
			"str %w[top], [%[sheaf]]\n" \
			"2:\n\t" \
			: [out] "=&r"(obj), [region] "=&r"(region_), [sheaf] "=&r"(sheaf_), \
			  [top] "=&r"(top_) \
			: [area] "r"(RSEQ_ADDRESS(hit.area)), [hit_] "r"(&hit), \
			  [regions] "i"(offsetof(struct hit, region)), \
			  [index] "r"((size_t)(class)) \
			: "memory", "cc" \
			: miss); \
	} while (0)

#define rseq_hit_push(class, obj, miss) \
	do { \
		struct region *region_; \
		struct sheaf *sheaf_; \
		size_t top_, limit_; \
		__asm__ __volatile__ goto( \
			RSEQ_BEGIN(#miss) \
			RSEQ_REGISTERED(#miss) \
			"ldr %w[region], [%[area], #24]\n\t" \
			"add %[region], %[hit_], %[region], lsl #3\n\t" \
			"ldr %[region], [%[region], #%c[regions]]\n\t" \
			"add %[sheaf], %[region], %[index], lsl #3\n\t" \
			"add %[limit], %[region], %[index], lsl #2\n\t" \
			"ldr %w[top], [%[sheaf]]\n\t" \
			"ldr %w[limit], [%[limit], #%c[end]]\n\t" \
			"cmp %w[top], %w[limit]\n\t" \
			"b.hs %l[" #miss "]\n\t" \
			"str %[in], [%[region], %[top]]\n\t" \
			"add %w[top], %w[top], #8\n\t" \
			"str %w[top], [%[sheaf]]\n" \
			"2:\n\t" \
			: [region] "=&r"(region_), [sheaf] "=&r"(sheaf_), [top] "=&r"(top_), \
			  [limit] "=&r"(limit_) \
			: [in] "r"(obj), [area] "r"(RSEQ_ADDRESS(hit.area)), [hit_] "r"(&hit), \
			  [regions] "i"(offsetof(struct hit, region)), \
			  [end] "i"(offsetof(struct region, end)), \
			  [index] "r"((size_t)(class)) \
			: "memory", "cc" \
			: miss); \
	} while (0)

#endif
