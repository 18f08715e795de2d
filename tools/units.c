/* SPDX-License-Identifier: MIT */
/*
 * Ranges may overlap: of functions within functions, of identical functions that the linker folds,
 * in damaged files. Then the one that starts last is the closest. Each range also knows how far
 * it and those before it reach, so that the search backwards ends where nothing can cover the
 * address.
 */
#include "units.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>

struct range {
	Dwarf_Addr start, end, reach;
	size_t index;
};

/* No source nests deeper; a damaged file may. */
#define DEPTH 256

static void ranges_add(struct ranges *ranges, Dwarf_Die *die, size_t index)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t offset = 0;

	while ((offset = dwarf_ranges(die, offset, &base, &start, &end)) > 0) {
		struct range *range;

		/* code that the linker threw away is at 0 or 1, or around the end of everything */
		if (start <= 1 || start >= end)
			continue;
		range = vec_push(&ranges->list);
		range->start = start;
		range->end = end;
		range->index = index;
	}
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static void ranges_sort(struct ranges *ranges)
{
	Dwarf_Addr reach = 0;
	size_t i;

	if (ranges->list.n > 0)
		qsort(ranges->list.v, ranges->list.n, sizeof(*ranges->list.v), by_start);
	for (i = 0; i < ranges->list.n; i++) {
		if (ranges->list.v[i].end > reach)
			reach = ranges->list.v[i].end;
		ranges->list.v[i].reach = reach;
	}
}

static size_t ranges_find(const struct ranges *ranges, Dwarf_Addr pc)
{
	const struct range *list = ranges->list.v;
	size_t low = 0, high = ranges->list.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list[mid].start <= pc)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low > 0 && list[low - 1].reach > pc; low--)
		if (list[low - 1].end > pc)
			return list[low - 1].index;
	return SIZE_MAX;
}

static void load_units(struct units *units, Dwfl_Module *module)
{
	Dwarf_Die *die = NULL;

	units->loaded = true;
	while ((die = dwfl_module_nextcu(module, die, &units->bias))) {
		vec_push(&units->list)->die = die;
		ranges_add(&units->ranges, die, units->list.n - 1);
	}
	ranges_sort(&units->ranges);
}

static bool holds_functions(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
	       tag == DW_TAG_structure_type || tag == DW_TAG_union_type ||
	       tag == DW_TAG_interface_type || tag == DW_TAG_subprogram ||
	       tag == DW_TAG_lexical_block;
}

static void load_functions(struct unit *unit, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die die;
	int more = dwarf_child(parent, &die);

	for (; more == 0; more = dwarf_siblingof(&die, &die)) {
		int tag = dwarf_tag(&die);

		if (tag == DW_TAG_subprogram || tag == DW_TAG_entry_point) {
			size_t before = unit->ranges.list.n;

			ranges_add(&unit->ranges, &die, unit->functions.n);
			if (unit->ranges.list.n > before)
				*vec_push(&unit->functions) = die;
		}
		if (holds_functions(tag) && depth < DEPTH)
			load_functions(unit, &die, depth + 1);
	}
}

void units_free(struct units *units)
{
	size_t i;

	for (i = 0; i < units->list.n; i++) {
		vec_free(&units->list.v[i].ranges.list);
		vec_free(&units->list.v[i].functions);
	}
	vec_free(&units->list);
	vec_free(&units->ranges.list);
	units->loaded = false;
}

struct unit *units_at(struct units *units, Dwfl_Module *module, Dwarf_Addr address, Dwarf_Addr *pc)
{
	size_t index;

	if (!units->loaded)
		load_units(units, module);
	*pc = address - units->bias;
	index = ranges_find(&units->ranges, *pc);
	return index == SIZE_MAX ? NULL : &units->list.v[index];
}

/* The part of a function, inlined or a block, that has the address. */
static bool part_at(Dwarf_Die *parent, Dwarf_Addr pc, Dwarf_Die *die)
{
	int more = dwarf_child(parent, die);

	for (; more == 0; more = dwarf_siblingof(die, die)) {
		int tag = dwarf_tag(die);

		if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
		     tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
		    dwarf_haspc(die, pc) > 0)
			return true;
	}
	return false;
}

size_t unit_functions(struct unit *unit, Dwarf_Addr pc, Dwarf_Die **functions)
{
	VEC(Dwarf_Die) chain = { 0 };
	Dwarf_Die outer, die;
	size_t index, i;
	unsigned depth;

	if (!unit->loaded) {
		unit->loaded = true;
		load_functions(unit, unit->die, 0);
		ranges_sort(&unit->ranges);
	}
	*functions = NULL;
	index = ranges_find(&unit->ranges, pc);
	if (index == SIZE_MAX)
		return 0;
	outer = *vec_push(&chain) = unit->functions.v[index];
	for (depth = 0; depth < DEPTH && part_at(&outer, pc, &die); depth++) {
		if (dwarf_tag(&die) == DW_TAG_inlined_subroutine)
			*vec_push(&chain) = die;
		outer = die;
	}
	for (i = 0; i < chain.n / 2; i++) {
		die = chain.v[i];
		chain.v[i] = chain.v[chain.n - 1 - i];
		chain.v[chain.n - 1 - i] = die;
	}
	*functions = chain.v;
	return chain.n;
}
