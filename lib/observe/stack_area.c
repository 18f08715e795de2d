/* SPDX-License-Identifier: MIT */
#include "observe/stack_area.h"

#include "os/proc.h"

#define CONTROL_ALIGN	64ul
#define ABOVE_MAX	(64ul << 10)	/* from the control block to the stack's end */
#define STACK_MIN	4096ul
#define STACK_MAX	(1ul << 40)
#define TID_MAX		(1ul << 22)	/* the kernel's limit; no stack is as low */
#define WORDS		(CONTROL_BYTES / sizeof(uintptr_t))

static bool read_control(uintptr_t tp, uintptr_t *words)
{
	return tp && IS_ALIGNED(tp, sizeof(uintptr_t)) &&
	       !os_peek((const void *)tp, words, CONTROL_BYTES);
}

#if defined(__x86_64__)

/* The thread's number may stand before a pointer: of a low thread that looks like a size. */
static bool find_bounds(uintptr_t tp, const uintptr_t *w, struct stack_area *a)
{
	for (size_t i = 3; i + 1 < WORDS; i++) {
		uintptr_t low = w[i], size = w[i + 1], high = low + size;

		if (low > TID_MAX && low < tp && size >= STACK_MIN && size < STACK_MAX && high > tp &&
		    high - tp >= CONTROL_BYTES / 2 && high - tp < ABOVE_MAX) {
			*a = (struct stack_area){ low, high, tp };
			return true;
		}
	}
	return false;
}

bool stack_area_of(uintptr_t tp, struct stack_area *a)
{
	uintptr_t words[WORDS];

	return read_control(tp, words) && words[0] == tp && words[2] == tp &&
	       find_bounds(tp, words, a);
}

/* Pages that refuse to be read may be among them: guards inside of a mapping. */
static void search(uintptr_t start, uintptr_t end,
		   void (*fn)(const struct stack_area *a, void *arg), void *arg)
{
	for (uintptr_t at = ALIGN_UP(start, CONTROL_ALIGN);
	     at < end && end - at >= CONTROL_ALIGN; at += CONTROL_ALIGN) {
		const uintptr_t *w = (const uintptr_t *)at;
		struct stack_area a;
		uintptr_t probe;

		if ((at == start || IS_ALIGNED(at, os_page_size())) &&
		    os_peek(w, &probe, sizeof(probe))) {
			at = ALIGN_UP(at + 1, os_page_size()) - CONTROL_ALIGN;
			continue;
		}
		if (w[0] == at && w[2] == at && stack_area_of(at, &a))
			fn(&a, arg);
	}
}

void stack_area_search(int pages_fd, const struct vma *v,
		       void (*fn)(const struct stack_area *a, void *arg), void *arg)
{
	struct os_range ranges[32];
	uintptr_t at = v->start;

	while (at < v->end) {
		size_t n = os_pages(pages_fd, &at, v->end, true, ranges, ARRAY_SIZE(ranges));

		for (size_t i = 0; i < n; i++)
			search(MAX(ranges[i].start, v->start), MIN(ranges[i].end, v->end), fn,
			       arg);
	}
}

uintptr_t stack_area_dtv(uintptr_t tp)
{
	uintptr_t dtv = 0;

	return tp && !os_peek((const void *)(tp + sizeof(void *)), &dtv, sizeof(dtv)) ? dtv : 0;
}

#else

/* The control block lies below the thread pointer, without a mark to know it by. */
bool stack_area_of(uintptr_t tp __unused_arg, struct stack_area *a __unused_arg)
{
	return false;
}

void stack_area_search(int pages_fd __unused_arg, const struct vma *v __unused_arg,
		       void (*fn)(const struct stack_area *a, void *arg) __unused_arg,
		       void *arg __unused_arg)
{
}

uintptr_t stack_area_dtv(uintptr_t tp)
{
	uintptr_t dtv = 0;

	return tp && !os_peek((const void *)tp, &dtv, sizeof(dtv)) ? dtv : 0;
}

#endif

bool stack_area_names(const struct stack_area *a, int tid)
{
	uintptr_t words[WORDS];

	if (!read_control(a->tp, words))
		return false;
	for (size_t i = 0; i < WORDS * 2; i++) {
		if (((const int32_t *)words)[i] == tid)
			return true;
	}
	return false;
}

struct node {
	uintptr_t next, prev;
};

static bool read_node(uintptr_t at, struct node *n)
{
	return at && IS_ALIGNED(at, sizeof(void *)) && !os_peek((const void *)at, n, sizeof(*n));
}

/* Where in a control block the list's node is: before the thread's number. 0: not found. */
static size_t node_offset(uintptr_t main_tp, int main_tid)
{
	uintptr_t words[WORDS];

	if (!read_control(main_tp, words))
		return 0;
	for (size_t i = 4; i < WORDS; i++) {
		uintptr_t at = main_tp + (i - 2) * sizeof(uintptr_t);
		struct node n;

		if ((int)words[i] == main_tid && read_node(words[i - 2], &n) && n.prev == at &&
		    read_node(words[i - 1], &n) && n.next == at)
			return (i - 2) * sizeof(uintptr_t);
	}
	return 0;
}

/* The head of the list that a node is on: the only one that is in no control block. */
static uintptr_t head_of(uintptr_t node, size_t offset)
{
	struct node n;

	for (uintptr_t at = node; read_node(at, &n); at = n.next) {
		uintptr_t self;

		if (os_peek((const void *)(at - offset), &self, sizeof(self)) ||
		    self != at - offset)
			return at;
		if (n.next == node)
			break;
	}
	return 0;
}

bool stack_area_kept(const struct stack_area *a, uintptr_t main_tp, int main_tid)
{
	size_t offset = node_offset(main_tp, main_tid);
	uintptr_t given = offset ? head_of(main_tp + offset, offset) : 0;

	return given && head_of(a->tp + offset, offset) == given + sizeof(struct node);
}
