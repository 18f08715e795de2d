/* SPDX-License-Identifier: MIT */
/*
 * realloc() of an object that has to move, by the sequences of malloc's and free's hit
 * paths. As long as these are open (medium_limit), nothing but the two sizes decides,
 * and below ROOM_SIZE_MIN small steps do not count.
 *
 * Locking: none. Both objects are the caller's while one is copied.
 */
#include <string.h>

#include "slab/kmalloc.h"
#include "slab/percpu_rseq.h"

void *krealloc_move(void *p, size_t size, unsigned class)
{
#ifdef HAVE_RSEQ
	unsigned to;
	void *q;

	if (size >= MIN(hit.medium_limit, ROOM_SIZE_MIN) || class > NR_SIZE_CLASSES)
		return krealloc_other(p, size);
	to = size_class(size);
	if (to == class)
		return p;
	rseq_hit_pop(to, q, miss);
	memcpy(q, p, MIN(size, (size_t)kmem_caches[class].usable));
	rseq_hit_push(class, p, full);
	return q;
full:
	kfree_plain(p);
	return q;
miss:
#else
	(void)class;
#endif
	return krealloc_other(p, size);
}
