/* SPDX-License-Identifier: MIT */
/*
 * Slow-path sequences for x86-64: the same protocol as the hit path (percpu_rseq.h), for
 * any kernel (number by mm_cid or by cpu_id) and with a result that tells a
 * miss from an abort. Each is one sequence with one commit.
 */
#include "slab/percpu_rseq.h"

#include "slab/percpu_ops.h"

#if defined(__x86_64__)

/* Region of the number the thread has inside the sequence. */
#define LOAD_REGION \
	RSEQ_REGISTERED("aborted") \
	"movl %%fs:(%[number]), %k[region]\n\t" \
	"movq %c[regions](%[hit_], %[region], 8), %[region]\n\t"

#define COMMON_INPUTS \
	[area] "r"(hit.area), [number] "r"(hit.number), [hit_] "r"(&hit), \
	[regions] "i"(offsetof(struct hit, region)), [end] "i"(offsetof(struct region, end)), \
	[index] "r"((size_t)class)

enum rseq_result rseq_pop(unsigned class, void **obj)
{
	struct region *region;
	size_t top;
	void *out;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		"movl (%[region], %[index], 8), %k[top]\n\t"
		"cmpl 4(%[region], %[index], 8), %k[top]\n\t"
		"jbe %l[empty]\n\t"
		"movq -8(%[region], %[top]), %[out]\n\t"
		"subl $8, %k[top]\n\t"
		"movl %k[top], (%[region], %[index], 8)\n"
		"2:\n\t"
		: [out] "=&r"(out), [region] "=&r"(region), [top] "=&r"(top)
		: COMMON_INPUTS
		: "memory", "cc"
		: empty, aborted);
	*obj = out;
	return RSEQ_DONE;
empty:
	return RSEQ_MISS;
aborted:
	return RSEQ_ABORTED;
}

enum rseq_result rseq_push(unsigned class, void *obj)
{
	struct region *region;
	size_t top;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		"movl (%[region], %[index], 8), %k[top]\n\t"
		"cmpl %c[end](%[region], %[index], 4), %k[top]\n\t"
		"jae %l[full]\n\t"
		"movq %[in], (%[region], %[top])\n\t"
		"addl $8, %k[top]\n\t"
		"movl %k[top], (%[region], %[index], 8)\n"
		"2:\n\t"
		: [region] "=&r"(region), [top] "=&r"(top)
		: [in] "r"(obj), COMMON_INPUTS
		: "memory", "cc"
		: full, aborted);
	return RSEQ_DONE;
full:
	return RSEQ_MISS;
aborted:
	return RSEQ_ABORTED;
}

/*
 * Copies the last min(bytes, room) bytes of pointers below @src_end onto the
 * sheaf. The copy is restartable like any other instruction of the sequence.
 */
enum rseq_result rseq_push_batch(unsigned class, void *const *src_end, size_t *bytes)
{
	struct region *region;
	size_t top, want = *bytes, n, moved;
	const void *src;
	void *dst;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		"movl (%[region], %[index], 8), %k[top]\n\t"
		"movl %c[end](%[region], %[index], 4), %k[n]\n\t"
		"subl %k[top], %k[n]\n\t"
		"jbe %l[full]\n\t"
		"cmpq %[want], %[n]\n\t"
		"cmovaq %[want], %[n]\n\t"
		"movq %[n], %[moved]\n\t"
		"movq %[src_end], %[src]\n\t"
		"subq %[n], %[src]\n\t"
		"leaq (%[region], %[top]), %[dst]\n\t"
		"addl %k[n], %k[top]\n\t"
		"rep movsb\n\t"
		"movl %k[top], (%[region], %[index], 8)\n"
		"2:\n\t"
		: [region] "=&r"(region), [top] "=&r"(top), [n] "=&c"(n),
		  [src] "=&S"(src), [dst] "=&D"(dst), [moved] "=&r"(moved)
		: [want] "r"(want), [src_end] "r"(src_end), COMMON_INPUTS
		: "memory", "cc"
		: full, aborted);
	*bytes = moved;
	return RSEQ_DONE;
full:
	return RSEQ_MISS;
aborted:
	return RSEQ_ABORTED;
}

/* Copies the top min(bytes, cached) bytes of pointers to @to. */
enum rseq_result rseq_pop_batch(unsigned class, void **to, size_t *bytes)
{
	struct region *region;
	size_t top, want = *bytes, n;
	const void *src;
	void *dst;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		"movl (%[region], %[index], 8), %k[top]\n\t"
		"movl %k[top], %k[n]\n\t"
		"subl 4(%[region], %[index], 8), %k[n]\n\t"
		"jbe %l[empty]\n\t"
		"cmpq %[want], %[n]\n\t"
		"cmovaq %[want], %[n]\n\t"
		"subl %k[n], %k[top]\n\t"
		"leaq (%[region], %[top]), %[src]\n\t"
		"movq %[to], %[dst]\n\t"
		"rep movsb\n\t"
		"movl %k[top], (%[region], %[index], 8)\n"
		"2:\n\t"
		: [region] "=&r"(region), [top] "=&r"(top), [n] "=&c"(n),
		  [src] "=&S"(src), [dst] "=&D"(dst)
		: [want] "r"(want), [to] "r"(to), COMMON_INPUTS
		: "memory", "cc"
		: empty, aborted);
	*bytes = (size_t)((char *)dst - (char *)to);
	return RSEQ_DONE;
empty:
	return RSEQ_MISS;
aborted:
	return RSEQ_ABORTED;
}

/* If the sheaf is {old, old} (so it is empty), make it {new, new}. */
enum rseq_result rseq_move(unsigned class, uint32_t old, uint32_t new)
{
	uint64_t from = old | (uint64_t)old << 32, to = new | (uint64_t)new << 32;
	struct region *region;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		"cmpq %[from], (%[region], %[index], 8)\n\t"
		"jne %l[other]\n\t"
		"movq %[to], (%[region], %[index], 8)\n"
		"2:\n\t"
		: [region] "=&r"(region)
		: [from] "r"(from), [to] "r"(to), COMMON_INPUTS
		: "memory", "cc"
		: other, aborted);
	return RSEQ_DONE;
other:
	return RSEQ_MISS;
aborted:
	return RSEQ_ABORTED;
}

/* If the sheaf still begins at @begin, let it end at @end. */
enum rseq_result rseq_set_end(unsigned class, uint32_t begin, uint32_t end)
{
	struct region *region;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		"cmpl %[begin], 4(%[region], %[index], 8)\n\t"
		"jne %l[other]\n\t"
		"movl %[to], %c[end](%[region], %[index], 4)\n"
		"2:\n\t"
		: [region] "=&r"(region)
		: [begin] "r"(begin), [to] "r"(end), COMMON_INPUTS
		: "memory", "cc"
		: other, aborted);
	return RSEQ_DONE;
other:
	return RSEQ_MISS;
aborted:
	return RSEQ_ABORTED;
}

#endif
