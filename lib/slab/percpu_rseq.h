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
 *
 * One header per architecture has the hit path's two sequences as macros, and
 * what each sequence begins with:
 *
 *	rseq_hit_pop(class, obj, miss)	pop or push one object by mm_cid; a miss,
 *	rseq_hit_push(class, obj, miss)	an abort and a missing registration all
 *					go to the label miss
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
static_assert(offsetof(struct sheaf, top) == 0 && offsetof(struct sheaf, begin) == 4, "order");

#if defined(__x86_64__)
#include "slab/percpu_rseq_x86.h"
#elif defined(__AARCH64EL__)
#include "slab/percpu_rseq_arm64.h"
#endif

#endif
