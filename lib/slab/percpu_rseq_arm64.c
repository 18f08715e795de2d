/* SPDX-License-Identifier: MIT */
/*
 * Slow-path sequences for arm64: the same protocol as the hit path
 * (percpu_rseq.h), for any kernel (number by mm_cid or by cpu_id) and with a
 * result that tells a miss from an abort. Each is one sequence with one commit.
 */
#include "slab/percpu_rseq.h"

#include "slab/percpu_ops.h"

#if defined(__AARCH64EL__)

/* Region of the number the thread has inside the sequence, and the class's sheaf in it. */
#define LOAD_REGION \
	RSEQ_REGISTERED("aborted") \
	"ldr %w[region], [%[number]]\n\t" \
	"add %[region], %[hit_], %[region], lsl #3\n\t" \
	"ldr %[region], [%[region], #%c[regions]]\n\t" \
	"add %[sheaf], %[region], %[index], lsl #3\n\t"

#define COMMON_INPUTS \
	[area] "r"(RSEQ_ADDRESS(hit.area)), [number] "r"(RSEQ_ADDRESS(hit.number)), \
	[hit_] "r"(&hit), [regions] "i"(offsetof(struct hit, region)), \
	[end] "i"(offsetof(struct region, end)), [index] "r"((size_t)class)

/* %[limit]: where the sheaf ends */
#define LOAD_END \
	"add %[limit], %[region], %[index], lsl #2\n\t" \
	"ldr %w[limit], [%[limit], #%c[end]]\n\t"

/* Copies %[n] > 0 bytes, a multiple of 8, from %[src] to %[dst], and moves all three. */
#define COPY \
	"tbz %w[n], #3, 5f\n\t" \
	"ldr %[a], [%[src]], #8\n\t" \
	"str %[a], [%[dst]], #8\n\t" \
	"subs %w[n], %w[n], #8\n\t" \
	"b.eq 6f\n" \
	"5:\n\t" \
	"ldp %[a], %[b], [%[src]], #16\n\t" \
	"stp %[a], %[b], [%[dst]], #16\n\t" \
	"subs %w[n], %w[n], #16\n\t" \
	"b.ne 5b\n" \
	"6:\n\t"

enum rseq_result rseq_pop(unsigned class, void **obj)
{
	struct region *region;
	struct sheaf *sheaf;
	size_t top;
	void *out;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		"ldp %w[top], %w[out], [%[sheaf]]\n\t"
		"cmp %w[top], %w[out]\n\t"
		"b.ls %l[empty]\n\t"
		"sub %w[top], %w[top], #8\n\t"
		"ldr %[out], [%[region], %[top]]\n\t"
		"str %w[top], [%[sheaf]]\n"
		"2:\n\t"
		: [out] "=&r"(out), [region] "=&r"(region), [sheaf] "=&r"(sheaf),
		  [top] "=&r"(top)
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
	struct sheaf *sheaf;
	size_t top, limit;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		LOAD_END
		"ldr %w[top], [%[sheaf]]\n\t"
		"cmp %w[top], %w[limit]\n\t"
		"b.hs %l[full]\n\t"
		"str %[in], [%[region], %[top]]\n\t"
		"add %w[top], %w[top], #8\n\t"
		"str %w[top], [%[sheaf]]\n"
		"2:\n\t"
		: [region] "=&r"(region), [sheaf] "=&r"(sheaf), [top] "=&r"(top),
		  [limit] "=&r"(limit)
		: [in] "r"(obj), COMMON_INPUTS
		: "memory", "cc"
		: full, aborted);
	return RSEQ_DONE;
full:
	return RSEQ_MISS;
aborted:
	return RSEQ_ABORTED;
}

/* Copies the last min(bytes, room) bytes of pointers below @src_end onto the sheaf. */
enum rseq_result rseq_push_batch(unsigned class, void *const *src_end, size_t *bytes)
{
	struct region *region;
	struct sheaf *sheaf;
	size_t top, limit, want = *bytes, n, moved, a, b;
	const void *src;
	void *dst;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		LOAD_END
		"ldr %w[top], [%[sheaf]]\n\t"
		"subs %w[n], %w[limit], %w[top]\n\t"
		"b.ls %l[full]\n\t"
		"cmp %[n], %[want]\n\t"
		"csel %[n], %[n], %[want], ls\n\t"
		"mov %[moved], %[n]\n\t"
		"sub %[src], %[src_end], %[n]\n\t"
		"add %[dst], %[region], %[top]\n\t"
		"add %w[top], %w[top], %w[n]\n\t"
		COPY
		"str %w[top], [%[sheaf]]\n"
		"2:\n\t"
		: [region] "=&r"(region), [sheaf] "=&r"(sheaf), [top] "=&r"(top),
		  [limit] "=&r"(limit), [n] "=&r"(n), [src] "=&r"(src), [dst] "=&r"(dst),
		  [moved] "=&r"(moved), [a] "=&r"(a), [b] "=&r"(b)
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
	struct sheaf *sheaf;
	size_t top, want = *bytes, n, a, b;
	const void *src;
	void *dst;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		"ldp %w[top], %w[n], [%[sheaf]]\n\t"
		"subs %w[n], %w[top], %w[n]\n\t"
		"b.ls %l[empty]\n\t"
		"cmp %[n], %[want]\n\t"
		"csel %[n], %[n], %[want], ls\n\t"
		"sub %w[top], %w[top], %w[n]\n\t"
		"add %[src], %[region], %[top]\n\t"
		"mov %[dst], %[to]\n\t"
		COPY
		"str %w[top], [%[sheaf]]\n"
		"2:\n\t"
		: [region] "=&r"(region), [sheaf] "=&r"(sheaf), [top] "=&r"(top), [n] "=&r"(n),
		  [src] "=&r"(src), [dst] "=&r"(dst), [a] "=&r"(a), [b] "=&r"(b)
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
	uint64_t from = old | (uint64_t)old << 32, to = new | (uint64_t)new << 32, now;
	struct region *region;
	struct sheaf *sheaf;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		"ldr %[now], [%[sheaf]]\n\t"
		"cmp %[now], %[from]\n\t"
		"b.ne %l[other]\n\t"
		"str %[to], [%[sheaf]]\n"
		"2:\n\t"
		: [region] "=&r"(region), [sheaf] "=&r"(sheaf), [now] "=&r"(now)
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
	struct sheaf *sheaf;
	uint32_t now;

	__asm__ __volatile__ goto(
		RSEQ_BEGIN("aborted")
		LOAD_REGION
		"ldr %w[now], [%[sheaf], #4]\n\t"
		"cmp %w[now], %w[begin]\n\t"
		"b.ne %l[other]\n\t"
		"add %[sheaf], %[region], %[index], lsl #2\n\t"
		"str %w[to], [%[sheaf], #%c[end]]\n"
		"2:\n\t"
		: [region] "=&r"(region), [sheaf] "=&r"(sheaf), [now] "=&r"(now)
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
