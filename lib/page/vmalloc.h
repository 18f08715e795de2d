/* SPDX-License-Identifier: MIT */
/*
 * Blocks with a mapping of their own: requests of at least mmap_threshold
 * bytes, as long as mmap_max allows. The block is the whole mapping.
 */
#ifndef STELE_PAGE_VMALLOC_H
#define STELE_PAGE_VMALLOC_H

#include "os/lock.h"
#include "page/page.h"

struct vmalloc_stats {
	size_t count, bytes;		/* now */
	size_t max_count, max_bytes;
};

/* Two words for each block, for whoever keeps records; zero at first. */
struct vm_tag {
	uint64_t word[2];
};
/* Keep them; before the first block. */
void vmalloc_keep_tags(void);
/* Constant: what is mapped lies apart, see os/vm.h. Set before the first growth of a zone. */
extern bool vmalloc_apart;
/* os_map() at a multiple of @align, and the same where that was asked for. */
int vmalloc_map(size_t len, size_t align, void **addr);

/* May another block be mapped? */
bool vmalloc_allowed(void);
/* @align in bytes, a power of two. NULL: no memory. Zeroed. */
void *vmalloc_alloc(size_t size, size_t align);
/* Length of the block at @addr; 0: no such block. */
size_t vmalloc_size(const void *addr);
/* Store or read the tag of the block at @addr; false: no such block. */
bool vmalloc_set_tag(const void *addr, const struct vm_tag *tag);
bool vmalloc_tag(const void *addr, struct vm_tag *tag);
/*
 * Visit all blocks, in no order, where no other thread runs; the tag (NULL:
 * not kept) may be changed. @fn returns false to stop.
 */
bool vmalloc_walk(bool (*fn)(void *addr, size_t len, struct vm_tag *tag, void *arg), void *arg);
/* The block that @addr points into, NULL: none. Slow; for reports. */
void *vmalloc_block_of(const void *addr, size_t *size);
/* Was a mapped block at this very address freed lately? Its last tag. For reports. */
bool vmalloc_was_freed(const void *addr, struct vm_tag *tag);
/* Unmap; false: no such block, nothing done. */
bool vmalloc_free(void *addr);
/* Resize by mremap; NULL: not possible, block unchanged. Contents move along. */
void *vmalloc_resize(void *addr, size_t size);
struct vmalloc_stats vmalloc_stats(void);
/* For reports: possibly while they change. */
struct vmalloc_stats vmalloc_stats_unlocked(void);

extern struct lock vmalloc_lock;

#endif
