/* SPDX-License-Identifier: MIT */
/*
 * The way into a sheaf through a restartable sequence.
 *
 * The protocol, in words. The kernel keeps the CPU number (and mm_cid, a dense
 * number among the CPUs this process runs on) of each thread in its rseq area.
 * Before a sequence the thread stores the address of a descriptor {start,
 * length, abort} in area->rseq_cs. If the thread is preempted, migrated or
 * gets a signal between start and end, it resumes at the abort address. So
 * everything from reading the number to the one store that commits happens on
 * one CPU with nobody in between, or has no effect:
 *
 *	start:	number -> region -> top, begin, end -> slots
 *		...
 *		store top	(the commit, and the last instruction)
 *	end:
 *
 * What was written to slots beyond top before the commit does not count. An
 * aborted sequence is not retried by the hit path: it goes to the slow path,
 * which tries again a few times and then takes a locked slot, so that a
 * thread that is single-stepped makes progress.
 *
 * A region is reached through hit.region[number]. Whoever wants it for himself
 * (drain, fork) puts the empty region there and fences: after the fence no
 * sequence that saw the old pointer is still running, and none will see it.
 *
 * A thread that is not registered has a negative cpu_id: tested in the
 * sequence. While a vfork child runs on its parent's registration, all hit
 * paths are closed (page/hit.h) and nobody enters.
 */
#ifndef STELE_SLAB_PERCPU_RSEQ_H
#define STELE_SLAB_PERCPU_RSEQ_H

#include "page/hit.h"
#include "slab/percpu.h"

/* Offsets in the kernel's rseq area. */
#define RSEQ_CPU_ID	4
#define RSEQ_CS		8
#define RSEQ_MM_CID	24

static_assert(sizeof(struct sheaf) == 8, "scaled index");
#define REGION_END	"2048"
static_assert(offsetof(struct region, end) == 2048, "REGION_END");

#if defined(__x86_64__)
#define HAVE_RSEQ 1

/* Label 3: descriptor; 1..2: the sequence; 4: abort. */
#define RSEQ_BEGIN(abort_label) \
	".pushsection .data.rel.ro.rseq_cs, \"aw\"\n\t" \
	".balign 32\n" \
	"3:\n\t" \
	".long 0, 0\n\t" \
	".quad 1f, 2f - 1f, 4f\n\t" \
	".popsection\n\t" \
	".pushsection .text.rseq_abort, \"ax\"\n\t" \
	/* The signature, as operand of an instruction that traps. */ \
	".byte 0x0f, 0xb9, 0x3d\n\t" \
	".long 0x53053053\n" \
	"4:\n\t" \
	"jmp %l[" abort_label "]\n\t" \
	".popsection\n\t" \
	"leaq 3b(%%rip), %[region]\n\t" \
	"movq %[region], %%fs:8(%[area])\n" \
	"1:\n\t"

#define RSEQ_REGISTERED(label) \
	"cmpl $0, %%fs:4(%[area])\n\t" \
	"js %l[" label "]\n\t"

/*
 * Hit path: pop or push one object by mm_cid. A miss, an abort and a missing
 * registration all go to @miss.
 */
#define rseq_hit_pop(class, obj, miss) \
	do { \
		struct region *region_; \
		size_t top_; \
		__asm__ __volatile__ goto( \
			RSEQ_BEGIN(#miss) \
			RSEQ_REGISTERED(#miss) \
			"movl %%fs:24(%[area]), %k[region]\n\t" \
			"movq %c[regions](%[hit_], %[region], 8), %[region]\n\t" \
			"movl (%[region], %[index], 8), %k[top]\n\t" \
			"cmpl 4(%[region], %[index], 8), %k[top]\n\t" \
			"jbe %l[" #miss "]\n\t" \
			"movq -8(%[region], %[top]), %[out]\n\t" \
			"subl $8, %k[top]\n\t" \
			"movl %k[top], (%[region], %[index], 8)\n" \
			"2:\n\t" \
			: [out] "=&r"(obj), [region] "=&r"(region_), [top] "=&r"(top_) \
			: [area] "r"(hit.area), [hit_] "r"(&hit), \
			  [regions] "i"(offsetof(struct hit, region)), \
			  [index] "r"((size_t)(class)) \
			: "memory", "cc" \
			: miss); \
	} while (0)

#define rseq_hit_push(class, obj, miss) \
	do { \
		struct region *region_; \
		size_t top_; \
		__asm__ __volatile__ goto( \
			RSEQ_BEGIN(#miss) \
			RSEQ_REGISTERED(#miss) \
			"movl %%fs:24(%[area]), %k[region]\n\t" \
			"movq %c[regions](%[hit_], %[region], 8), %[region]\n\t" \
			"movl (%[region], %[index], 8), %k[top]\n\t" \
			"cmpl " REGION_END "(%[region], %[index], 4), %k[top]\n\t" \
			"jae %l[" #miss "]\n\t" \
			"movq %[in], (%[region], %[top])\n\t" \
			"addl $8, %k[top]\n\t" \
			"movl %k[top], (%[region], %[index], 8)\n" \
			"2:\n\t" \
			: [region] "=&r"(region_), [top] "=&r"(top_) \
			: [in] "r"(obj), [area] "r"(hit.area), [hit_] "r"(&hit), \
			  [regions] "i"(offsetof(struct hit, region)), \
			  [index] "r"((size_t)(class)) \
			: "memory", "cc" \
			: miss); \
	} while (0)

#endif
#endif
