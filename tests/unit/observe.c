/* SPDX-License-Identifier: MIT */
/* lib/observe: marking and its classes, maps, suppressions, names of files. */
#include "common.h"

#include "debug/track.h"
#include "observe/maps.h"
#include "observe/mark.h"
#include "observe/module.h"
#include "observe/names.h"
#include "observe/suppress.h"
#include "observe/symbol.h"
#include "os/proc.h"
#include "slab/percpu.h"
#include "slab/tracked.h"
#include "tune/tune.h"

/* ---- what the modules under test need of those that are not here ---- */

struct module *module_of(uintptr_t addr __unused_arg, uint32_t generation __unused_arg)
{
	return NULL;
}

void symbol_find(uintptr_t addr, uint32_t generation __unused_arg, struct symbol *s)
{
	*s = (struct symbol){ .offset = addr };
}

size_t os_pages(int fd __unused_arg, uintptr_t *at, uintptr_t end, bool anonymous __unused_arg,
		struct os_range *out, size_t max __unused_arg)
{
	out[0] = (struct os_range){ *at, end };
	*at = end;
	return 1;
}

int os_open_read(const char *path __unused_arg)
{
	return -ENOENT;
}

int os_open_new(const char *path)
{
	return strstr(path, ".2") ? 5 : -EEXIST;
}

int os_open_write(const char *path __unused_arg)
{
	return 6;
}

long os_read(int fd __unused_arg, void *buf __unused_arg, size_t len __unused_arg)
{
	return -EIO;
}

int os_close(int fd __unused_arg)
{
	return 0;
}

const char *const leak_kind_names[] = { "direct", "indirect", "possible", "reachable", "young" };

/* ---- marking ---- */

static void boot_tracking(void)
{
	tune_set(TUNE_ID_leak, LEAK_ON, TUNE_CONF);
	tune_set(TUNE_ID_unwind, UNWIND_NONE, TUNE_CONF);
	track_init();
	slab_init();
	tracked_init();
	percpu_init();
}

/* Blocks point to each other by word @i. */
static void **block(size_t size)
{
	void **p = tracked_malloc(size);

	must(p);
	return p;
}

static void mark(void **roots, size_t n)
{
	must(blocks_index(scratch_alloc));
	mark_begin();
	mark_range((uintptr_t)roots, (uintptr_t)(roots + n), ROOT_DATA, 7);
	mark_follow(-1);
	must(mark_finish());
}

static uint32_t mark_of(const void *p)
{
	struct block b;

	must(block_find(p, &b) && b.rec);
	return b.rec->mark;
}

static enum mark_state state_of(const void *p)
{
	return mark_state(mark_of(p));
}

static const void *leader_of(const void *p)
{
	must_eq(state_of(p), MARK_LOST);
	return (const void *)mark_leader(mark_id(mark_of(p)))->addr;
}

START_TEST(chains_are_reachable)
{
	void *roots[4] = { 0 }, **a, **b, **c;

	fake_boot();
	boot_tracking();
	a = block(100);
	b = block(3000);
	c = block(200000);
	a[3] = b;
	b[300] = c;
	roots[2] = a;
	mark(roots, 4);
	must_eq(state_of(a), MARK_REACHABLE);
	must_eq(state_of(b), MARK_REACHABLE);
	must_eq(state_of(c), MARK_REACHABLE);
	must_eq(mark_id(mark_of(c)), mark_id(mark_of(a)));
	must_eq(mark_root(mark_id(mark_of(c)))->at, &roots[2]);
	must_eq(mark_root(mark_id(mark_of(c)))->who, 7);
	mark_end();
	must_eq(mark_of(a), 0);
}
END_TEST

START_TEST(inner_pointers_are_possible)
{
	void *roots[3] = { 0 }, **a, **b, **c;

	fake_boot();
	boot_tracking();
	a = block(100);
	b = block(100);
	c = block(64);
	a[1] = b;
	roots[0] = (char *)a + 40;
	/* Behind what was asked for, though within the class; and empty. */
	roots[1] = (char *)c + 64;
	roots[2] = block(0);
	mark(roots, 3);
	must_eq(state_of(a), MARK_POSSIBLE);
	must_eq(state_of(b), MARK_POSSIBLE);
	must_eq(state_of(c), MARK_LOST);
	must_eq(state_of(roots[2]), MARK_REACHABLE);
	mark_end();
}
END_TEST

/* new[] of objects with destructors: their number, then they. */
START_TEST(arrays_with_a_cookie_are_reachable)
{
	void *roots[2], **a, **b;

	fake_boot();
	boot_tracking();
	a = block(8 + 5 * 24);
	a[0] = (void *)5;
	b = block(8 + 5 * 24);
	b[0] = (void *)7;
	roots[0] = a + 1;
	roots[1] = b + 1;
	mark(roots, 2);
	must_eq(state_of(a), MARK_REACHABLE);
	must_eq(state_of(b), MARK_POSSIBLE);
	mark_end();
}
END_TEST

/* Redis' strings: length, room and type before the text; this one has room for 10 more. */
START_TEST(strings_of_sds_are_reachable)
{
	uint8_t *narrow, *wide, *torn;
	void *roots[3];

	fake_boot();
	boot_tracking();
	narrow = (uint8_t *)block(1 + 5 + 1);
	memcpy(narrow, "\x28" "hello", 7);
	wide = (uint8_t *)block(5 + 310 + 1);
	memcpy(wide, "\x2c\x01\x36\x01\x02", 5);
	memset(wide + 5, 'w', 300);
	torn = (uint8_t *)block(5 + 310 + 1);
	memcpy(torn, wide, 5 + 310 + 1);
	torn[2] = 0x35;
	roots[0] = narrow + 1;
	roots[1] = wide + 5;
	roots[2] = torn + 5;
	mark(roots, 3);
	must_eq(state_of(narrow), MARK_REACHABLE);
	must_eq(state_of(wide), MARK_REACHABLE);
	must_eq(state_of(torn), MARK_POSSIBLE);
	mark_end();
}
END_TEST

/* The colour of a node of tsearch() is in what points to it; other inner pointers are no nodes. */
START_TEST(nodes_of_tsearch_are_reachable)
{
	void *roots[2], **node, **text;

	fake_boot();
	boot_tracking();
	node = block(24);
	node[0] = roots;
	text = block(24);
	memcpy(text, "twenty-three characters", 24);
	roots[0] = (char *)node + 1;
	roots[1] = (char *)text + 1;
	mark(roots, 2);
	must_eq(state_of(node), MARK_REACHABLE);
	must_eq(state_of(text), MARK_POSSIBLE);
	mark_end();
}
END_TEST

START_TEST(lost_ones_have_leaders)
{
	void *roots[1] = { 0 }, **child, **parent, **other;

	fake_boot();
	boot_tracking();
	/* The child has the lower address: it is visited first. */
	child = block(48);
	parent = block(48);
	other = block(48);
	must(child < parent && parent < other);
	parent[2] = child;
	other[1] = (char *)child + 16;
	other[3] = other;
	mark(roots, 1);
	must_eq(leader_of(parent), parent);
	must_eq(leader_of(other), other);
	must(leader_of(child) == parent || leader_of(child) == other);
	mark_end();
}
END_TEST

static void **ring(unsigned n)
{
	void **first = block(48), **last = first;

	for (unsigned i = 1; i < n; i++) {
		void **next = block(48);

		last[0] = next;
		last = next;
	}
	last[0] = first;
	return first;
}

START_TEST(a_ring_shows_one)
{
	void *roots[1] = { 0 }, **a, **b, **tail, **front;

	fake_boot();
	boot_tracking();
	/* A ring that another leads into, by a pointer to its middle. */
	a = ring(4);
	b = ring(3);
	b[1] = *a;
	tail = block(32);
	a[2] = tail;
	mark(roots, 1);
	must_eq(leader_of(b), b);
	must_eq(leader_of(*b), b);
	must_eq(leader_of(a), b);
	must_eq(leader_of(*a), b);
	must_eq(leader_of(tail), b);
	mark_end();

	front = block(32);
	front[1] = *b;
	mark(roots, 1);
	must_eq(leader_of(a), front);
	must_eq(leader_of(b), front);
	must_eq(leader_of(front), front);
	mark_end();
}
END_TEST

START_TEST(freed_ones_hold_nothing)
{
	void *roots[2] = { 0 }, **a, **b, **again;

	fake_boot();
	boot_tracking();
	a = block(160);
	b = block(96);
	a[7] = b;
	tracked_free(a);
	roots[0] = a;
	mark(roots, 2);
	must_eq(state_of(b), MARK_LOST);
	mark_end();
	/* Nor do new ones hold what these have left. */
	for (unsigned i = 0; i < 2000; i++) {
		again = block(160);
		must_eq(again[7], NULL);
	}
}
END_TEST

#define NR_MANY	20000

START_TEST(wide_and_deep)
{
	void *roots[1], **top;
	char *list = NULL;

	fake_boot();
	boot_tracking();
	top = block(NR_MANY * sizeof(void *));
	for (size_t i = 0; i < NR_MANY; i++) {
		void **p = block(16 + i % 2000);

		p[0] = list;
		list = (char *)p;
		top[i] = i % 3 ? p : NULL;
	}
	roots[0] = top;
	mark(roots, 1);
	for (void **p = (void **)list; p; p = *p)
		must_eq(state_of(p), p == (void **)list && !top[NR_MANY - 1] ? MARK_LOST :
									      MARK_REACHABLE);
	mark_end();
}
END_TEST

/* ---- texts ---- */

START_TEST(maps_lines)
{
	char text[] = "00400000-00452000 r-xp 00001000 08:02 173521  /usr/bin/a b (deleted)\n"
		      "7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n"
		      "7f0000021000-7f0000022000 rw-s 00000000 00:05 7 /dev/zero (deleted)\n";
	char torn[] = "00400000-00452000 r-xp 00001000 08:02 1\n7f00";
	struct maps m;

	fake_boot();
	must(maps_parse(&m, text));
	must_eq(m.count, 3);
	must(m.at[0].exec && !m.at[0].write && !m.at[0].shared);
	must_eq(m.at[0].offset, 0x1000);
	must_eq(m.at[0].inode, 173521);
	ck_assert_str_eq(m.at[0].path, "/usr/bin/a b (deleted)");
	ck_assert_str_eq(m.at[1].path, "");
	must(m.at[2].shared);
	must(maps_find(&m, 0x451fff) == &m.at[0]);
	must(!maps_find(&m, 0x452000));
	must(maps_find(&m, 0x7f0000021000) == &m.at[2]);
	must(!maps_parse(&m, torn));
}
END_TEST

START_TEST(patterns)
{
	must(suppress_match("oo", "foobar"));
	must(suppress_match("^foo", "foobar"));
	must(!suppress_match("^oo", "foobar"));
	must(suppress_match("bar$", "foobarbar"));
	must(!suppress_match("foo$", "foobar"));
	must(suppress_match("^foobar$", "foobar"));
	must(!suppress_match("^foobar$", "foobarx"));
	must(suppress_match("^f*r$", "foobar"));
	must(suppress_match("f*b*", "foobar"));
	must(!suppress_match("b*f", "foobar"));
	must(suppress_match("*", ""));
	must(!suppress_match("x", ""));
}
END_TEST

START_TEST(file_names)
{
	char path[64], pid[16];

	snprintf(pid, sizeof(pid), "%d", os_pid());
	leak_expand(path, sizeof(path), "a%%b.%n.%x%", 42);
	ck_assert_str_eq(path, "a%b.42.%x%");
	leak_expand(path, sizeof(path), "%p", 0);
	ck_assert_str_eq(path, pid);
	leak_expand(path, 4, "abcdef", 0);
	ck_assert_str_eq(path, "abc");

	strcpy(leak_names.output, "/x/snap.%n");
	must_eq(leak_output_open(path, sizeof(path)), 5);
	ck_assert_str_eq(path, "/x/snap.2");
	strcpy(leak_names.output, "/x/snap");
	leak_names.forked = true;
	must_eq(leak_output_open(path, sizeof(path)), 6);
	must(strstr(path, pid));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		chains_are_reachable, inner_pointers_are_possible,
		arrays_with_a_cookie_are_reachable, strings_of_sds_are_reachable,
		nodes_of_tsearch_are_reachable, lost_ones_have_leaders, a_ring_shows_one,
		freed_ones_hold_nothing, wide_and_deep, maps_lines, patterns, file_names,
	};

	return unit_run("observe", tests, ARRAY_SIZE(tests));
}
