/* SPDX-License-Identifier: MIT */
/* lib/base: bits, lists, tables, printing. */
#include "common.h"

#include "base/fmt.h"
#include "base/list.h"
#include "base/probe.h"

START_TEST(rounding)
{
	ck_assert_uint_eq(ALIGN_UP(4097ul, 4096), 8192);
	ck_assert_uint_eq(ALIGN_UP(4096ul, 4096), 4096);
	ck_assert_uint_eq(ALIGN_DOWN(4095ul, 4096), 0);
	ck_assert_uint_eq(ALIGN_DOWN(~0ul, 1ul << 40), ~0ul << 40);
	ck_assert(IS_ALIGNED(0ul, 64) && IS_ALIGNED(128ul, 64) && !IS_ALIGNED(96ul, 64));
	ck_assert_int_eq(CLAMP(5, 1, 3), 3);
	ck_assert_int_eq(CLAMP(0, 1, 3), 1);
	ck_assert_int_eq(CLAMP(2, 1, 3), 2);
}
END_TEST

START_TEST(powers)
{
	for (unsigned k = 0; k < 64; k++) {
		uint64_t x = 1ull << k;

		ck_assert(is_pow2(x));
		ck_assert_uint_eq(bit_first(x), k);
		ck_assert_uint_eq(bit_last(x), k);
		ck_assert_uint_eq(bit_first(~0ull << k), k);
		ck_assert_uint_eq(bit_last(x | (x - 1)), k);
		ck_assert_uint_eq(log2_ceil(x), k);
		if (k > 1) {
			ck_assert(!is_pow2(x - 1) && !is_pow2(x | 1));
			ck_assert_uint_eq(log2_ceil(x - 1), k);
		}
		if (k && k < 63)
			ck_assert_uint_eq(log2_ceil(x + 1), k + 1);
	}
	ck_assert(!is_pow2(0));
	ck_assert_uint_eq(log2_ceil(1), 0);
}
END_TEST

#define NR_BITS 320

static void same_bits(const uint64_t *map, const bool *model)
{
	for (size_t i = 0; i < NR_BITS; i++)
		must_eq(bits_test(map, i), model[i]);
}

/* Every function against an array of bools. */
START_TEST(bitmaps)
{
	uint64_t map[NR_BITS / 64] = { 0 };
	bool model[NR_BITS] = { false };
	struct rng r = { 1 };

	for (int round = 0; round < 20000; round++) {
		size_t a = rng_below(&r, NR_BITS + 1), b = rng_below(&r, NR_BITS + 1);
		size_t start = MIN(a, b), end = MAX(a, b), set = 0, i;
		bool want = rng_below(&r, 2);

		for (i = start; i < end; i++)
			set += model[i];
		must_eq(bits_count(map, start, end), set);
		for (i = start; i < end && model[i] != want; i++)
			;
		must_eq(bits_next(map, start, end, want), i);
		switch (rng_below(&r, 4)) {
		case 0:
			must_eq(bits_set_range(map, start, end), end - start - set);
			memset(model + start, true, end - start);
			break;
		case 1:
			must_eq(bits_clear_range(map, start, end), set);
			memset(model + start, false, end - start);
			break;
		case 2:
			if (start < NR_BITS) {
				bits_set(map, start);
				model[start] = true;
			}
			break;
		default:
			if (start < NR_BITS) {
				bits_clear(map, start);
				model[start] = false;
			}
		}
		if (round % 64 == 0)
			same_bits(map, model);
	}
	same_bits(map, model);
}
END_TEST

struct item {
	int value;
	struct list node;
};

/* Forwards and backwards, and that every prev answers its next. */
static void list_holds(struct list *head, const int *values, int n)
{
	struct list *e = head->next, *back = head->prev;

	for (int i = 0; i < n; i++, e = e->next, back = back->prev) {
		ck_assert_int_eq(list_entry(e, struct item, node)->value, values[i]);
		ck_assert_int_eq(list_entry(back, struct item, node)->value, values[n - 1 - i]);
		ck_assert_ptr_eq(e->next->prev, e);
	}
	ck_assert_ptr_eq(e, head);
	ck_assert_ptr_eq(back, head);
	ck_assert_int_eq(list_empty(head), n == 0);
}

START_TEST(lists)
{
	struct item items[4] = { { .value = 0 }, { .value = 1 }, { .value = 2 }, { .value = 3 } };
	struct list head;

	list_init(&head);
	list_holds(&head, NULL, 0);
	list_add(&items[0].node, &head);
	list_add(&items[1].node, &head);
	list_add_tail(&items[2].node, &head);
	list_insert(&items[3].node, &items[1].node, &items[0].node);
	list_holds(&head, (int[]){ 1, 3, 0, 2 }, 4);
	ck_assert_ptr_eq(list_first(&head, struct item, node), &items[1]);
	ck_assert_ptr_eq(list_last(&head, struct item, node), &items[2]);
	list_del(&items[3].node);
	ck_assert_ptr_null(items[3].node.next);
	list_holds(&head, (int[]){ 1, 0, 2 }, 3);
	list_del(&items[1].node);
	list_del(&items[2].node);
	list_holds(&head, (int[]){ 0 }, 1);
	list_del(&items[0].node);
	list_holds(&head, NULL, 0);
}
END_TEST

/* Our printf and libc's say the same. */
#define same_print(...) \
	do { \
		char ours[128], theirs[128]; \
		size_t n = fmt_print(ours, sizeof(ours), __VA_ARGS__); \
		int want = snprintf(theirs, sizeof(theirs), __VA_ARGS__); \
		ck_assert_str_eq(ours, theirs); \
		ck_assert_uint_eq(n, (size_t)want); \
	} while (0)

/* Few slots, many of them full: runs of followers, also across the table's end. */
START_TEST(probing)
{
	enum { SLOTS = 32, KEYS = 64, MOST = 28 };
	struct { uintptr_t addr; size_t value; } slots[SLOTS] = { 0 }, *at, *from;
	struct probe t = { slots, sizeof(slots[0]), SLOTS };
	size_t model[KEYS] = { 0 }, count = 0;
	struct rng r = { 3 };

	for (size_t round = 1; round < 20000; round++) {
		size_t k = rng_below(&r, KEYS);
		uintptr_t addr = (k + 1) << (k % 2 ? 4 : 12);

		at = probe_slot(t, addr);
		must_eq(at->addr ? at->value : 0, model[k]);
		if (model[k]) {
			for (from = at; (from = probe_follower(t, at, from)); at = from)
				*at = *from;
			at->addr = 0;
			model[k] = 0;
			count--;
		} else if (count < MOST) {
			at->addr = addr;
			at->value = model[k] = round;
			count++;
		}
	}
	ck_assert_uint_gt(count, MOST / 2);
}
END_TEST

START_TEST(print_numbers)
{
	same_print("%d %d %d", 0, -1, 2147483647);
	same_print("%d", (int)-2147483647 - 1);
	same_print("%ld %ld", -9223372036854775807l - 1, 9223372036854775807l);
	same_print("%u %u", 0u, ~0u);
	same_print("%lu %zu", ~0ul, (size_t)12345);
	same_print("%x %lx", 0xbeefu, 0xdeadbeefcafeul);
	same_print("%8u|%-8u|%08u|", 42u, 42u, 42u);
	same_print("%8d|%-8d|%6ld|", -42, -42, -7l);
	same_print("%2u|%-2u|%02u", 12345u, 12345u, 12345u);
	same_print("%p %p", (void *)0x1234, (void *)0x7fffdeadb000);
	same_print("%16p|%-16p|", (void *)0x1234, (void *)0x1234);
}
END_TEST

/* A zero-padded negative number keeps its sign in front. */
START_TEST(print_zero_negative)
{
	same_print("%05d", -42);
}
END_TEST

START_TEST(print_text)
{
	same_print("plain");
	same_print("%s", "");
	same_print("%s and %s", "one", "two");
	same_print("%8s|%-8s|%2s|", "abc", "abc", "abc");
	same_print("%c%c%c", 'x', '%', 'z');
	same_print("100%%");
}
END_TEST

START_TEST(print_truncates)
{
	char buf[16];

	for (size_t size = 1; size <= sizeof(buf); size++) {
		memset(buf, 'X', sizeof(buf));
		ck_assert_uint_eq(fmt_print(buf, size, "%s%d", "abcdefghij", 123456789), size - 1);
		ck_assert_uint_eq(strlen(buf), size - 1);
		ck_assert_int_eq(strncmp(buf, "abcdefghij123456789", size - 1), 0);
		for (size_t i = size; i < sizeof(buf); i++)
			ck_assert_int_eq(buf[i], 'X');
	}
}
END_TEST

static void name_it(char *name, size_t size, const void *ip)
{
	fmt_print(name, size, "f+0x%lx", (unsigned long)ip);
}

/* %pS asks who knows names; nobody: the number, and the S is no text in either case. */
START_TEST(print_symbol)
{
	char buf[32];

	fmt_print(buf, sizeof(buf), "<%pS>", (void *)0x12);
	ck_assert_str_eq(buf, "<0x12>");
	fmt_symbol = name_it;
	fmt_print(buf, sizeof(buf), "<%pS|%8pS|%-8pS|%p>", (void *)0x12, (void *)1, (void *)1,
		  (void *)0x12);
	ck_assert_str_eq(buf, "<f+0x12|   f+0x1|f+0x1   |0x12>");
}
END_TEST

/* A letter that it does not know is shown, and a lone % ends well. */
START_TEST(print_unknown)
{
	char buf[32];
	const char *odd = "a%y", *lone = "50%";

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	ck_assert_uint_eq(fmt_print(buf, sizeof(buf), odd), 3);
	ck_assert_str_eq(buf, "a%y");
	ck_assert_uint_eq(fmt_print(buf, sizeof(buf), lone), 3);
	ck_assert_str_eq(buf, "50%");
#pragma GCC diagnostic pop
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		rounding, powers, bitmaps, lists, probing, print_numbers, print_zero_negative,
		print_text, print_truncates, print_symbol, print_unknown,
	};

	return unit_run("base", tests, ARRAY_SIZE(tests));
}
