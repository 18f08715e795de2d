/* SPDX-License-Identifier: MIT */
/* Results and prototypes of the slow-path sequences; see percpu_rseq_x86.c and its like. */
#ifndef STELE_SLAB_PERCPU_OPS_H
#define STELE_SLAB_PERCPU_OPS_H

#include "slab/percpu_rseq.h"

enum rseq_result {
	RSEQ_DONE,
	RSEQ_MISS,	/* empty or full; for others: not as expected */
	RSEQ_ABORTED,	/* interrupted, or the thread is not registered */
};

#ifdef HAVE_RSEQ

enum rseq_result rseq_pop(unsigned class, void **obj);
enum rseq_result rseq_push(unsigned class, void *obj);
/* *bytes: in: what is offered or wanted, out: what was moved. */
enum rseq_result rseq_push_batch(unsigned class, void *const *src_end, size_t *bytes);
enum rseq_result rseq_pop_batch(unsigned class, void **dst, size_t *bytes);
enum rseq_result rseq_move(unsigned class, uint32_t old, uint32_t new);
enum rseq_result rseq_set_end(unsigned class, uint32_t begin, uint32_t end);

#else

/* Where there are no sequences every attempt is as good as aborted. */
#define NO_SEQUENCE(name, ...) \
	static inline enum rseq_result name(unsigned class __unused_arg, __VA_ARGS__) \
	{ \
		return RSEQ_ABORTED; \
	}
NO_SEQUENCE(rseq_pop, void **obj __unused_arg)
NO_SEQUENCE(rseq_push, void *obj __unused_arg)
NO_SEQUENCE(rseq_push_batch, void *const *src __unused_arg, size_t *bytes __unused_arg)
NO_SEQUENCE(rseq_pop_batch, void **dst __unused_arg, size_t *bytes __unused_arg)
NO_SEQUENCE(rseq_move, uint32_t old __unused_arg, uint32_t new __unused_arg)
NO_SEQUENCE(rseq_set_end, uint32_t begin __unused_arg, uint32_t end __unused_arg)

#endif

#endif
