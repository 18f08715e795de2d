/* SPDX-License-Identifier: MIT */
/* Results and prototypes of the slow-path sequences; see percpu_rseq.c. */
#ifndef STELE_SLAB_PERCPU_OPS_H
#define STELE_SLAB_PERCPU_OPS_H

#include "base/compiler.h"

enum rseq_result {
	RSEQ_DONE,
	RSEQ_MISS,	/* empty or full; for others: not as expected */
	RSEQ_ABORTED,	/* interrupted, or the thread is not registered */
};

enum rseq_result rseq_pop(unsigned class, void **obj);
enum rseq_result rseq_push(unsigned class, void *obj);
/* *bytes: in: what is offered or wanted, out: what was moved. */
enum rseq_result rseq_push_batch(unsigned class, void *const *src_end, size_t *bytes);
enum rseq_result rseq_pop_batch(unsigned class, void **dst, size_t *bytes);
enum rseq_result rseq_move(unsigned class, uint32_t old, uint32_t new);
enum rseq_result rseq_set_end(unsigned class, uint32_t begin, uint32_t end);

#endif
