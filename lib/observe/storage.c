/* SPDX-License-Identifier: MIT */
#include "observe/storage.h"

#include <link.h>
#include <string.h>

#include "base/bits.h"
#include "debug/stack.h"
#include "observe/leak.h"
#include "os/proc.h"

typedef int visit_fn(struct dl_phdr_info *info, size_t size, void *arg);

static uint32_t closed[NR_STORAGE_IDS];		/* generation; 0: never */

static int add_id(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct storage_ids *ids = arg;

	if (size >= offsetof(struct dl_phdr_info, dlpi_tls_modid) + sizeof(size_t) &&
	    info->dlpi_tls_modid && info->dlpi_tls_modid < NR_STORAGE_IDS)
		bits_set(ids->bits, info->dlpi_tls_modid);
	return 0;
}

void storage_ids_read(struct storage_ids *ids)
{
	int (*iterate)(visit_fn *fn, void *arg) =
		(int (*)(visit_fn *, void *))os_next_symbol("dl_iterate_phdr");

	memset(ids, 0, sizeof(*ids));
	if (iterate)
		iterate(add_id, ids);
}

/* Whoever takes a number after @now was read makes his storage in this generation or later. */
void storage_note_closed(const struct storage_ids *before)
{
	uint32_t generation = stack_generation();
	struct storage_ids now;
	uint64_t blocked;

	storage_ids_read(&now);
	blocked = os_block_signals();
	lock_acquire(&observe_lock);
	for (size_t i = 0; i < NR_STORAGE_IDS; i++) {
		if (bits_test(before->bits, i) && !bits_test(now.bits, i))
			closed[i] = generation;
	}
	lock_release(&observe_lock);
	os_set_blocked(blocked);
}

bool storage_is_closed(size_t id, const struct block *b)
{
	uint32_t generation;

	return id < NR_STORAGE_IDS && closed[id] && b->rec &&
	       stack_get(b->rec->stack, NULL, &generation) && generation < closed[id];
}
