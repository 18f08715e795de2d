/* SPDX-License-Identifier: MIT */
/*
 * Virtual areas of the program's own making: vmalloc areas, pinned buffers and
 * mapped regions, each with guard pages, all in one tree by address.
 *
 *	vmalloc          |-- size, in whole pages --|guard|
 *	pinned, region   |guard|-- size, in whole pages --|guard|
 *	                 start  base   addr              start + len
 */
#ifndef STELE_PAGE_VMAP_H
#define STELE_PAGE_VMAP_H

#include "base/treap.h"
#include "os/lock.h"
#include "os/vm.h"
#include "page/page.h"

enum vmap_kind { VMAP_ALLOC, VMAP_PINNED, VMAP_REGION, NR_VMAP_KINDS };

/* How huge pages were had, for a pinned buffer that wanted them. */
enum vmap_huge { VMAP_SMALL, VMAP_THP, VMAP_HUGETLB };

struct vmap_area {
	struct treap_node node;		/* key: start */
	size_t len;			/* of address space, guards included */
	uintptr_t base;			/* first page of the program's */
	uintptr_t addr;			/* what the program was given */
	size_t size;			/* bytes, as asked for */
	const void *caller;		/* who asked for it; once freed: who freed it */
	uint8_t kind;			/* enum vmap_kind */
	uint8_t huge;			/* enum vmap_huge */
	bool freed;			/* sealed; waits for its unmapping */
	bool low;			/* below os_low_limit() */
	struct os_file file;		/* VMAP_REGION */
	uint64_t offset;		/* VMAP_REGION, of addr */
};

/* Why a pointer was refused. */
enum vmap_error {
	VMAP_OK,
	VMAP_UNKNOWN,		/* in no area */
	VMAP_FREED,		/* in an area that was freed; *area says by whom */
	VMAP_OTHER_KIND,	/* in an area of another kind: *area */
	VMAP_INSIDE,		/* in an area, but not what the program was given */
};

/*
 * New areas. 0, with the area's address in *addr, or a negative errno; then
 * nothing is left. @size != 0. Memory is zeroed.
 */
int vmap_alloc(size_t size, bool low, const void *caller, void **addr);
int vmap_pin(size_t size, bool huge, const void *caller, void **addr);
int vmap_map(int fd, uint64_t offset, size_t size, const void *caller, void **addr);

/* Free: sealed when it returns. On refusal *area is a copy of what @addr is in. */
enum vmap_error vmap_free(const void *addr, enum vmap_kind kind, const void *caller,
			  struct vmap_area *area);
/*
 * Resize an area of VMAP_ALLOC, which may move to *new_addr. *err: 0 or -ENOMEM,
 * then it is as it was. The bytes from old to new size are zeroed if @zero.
 */
enum vmap_error vmap_resize(const void *addr, size_t size, bool zero, const void *caller,
			    void **new_addr, int *err, struct vmap_area *area);

/* A copy of the area that @addr points into; false: none. */
bool vmap_find(const void *addr, struct vmap_area *area);
/* A copy of the first area that starts at @from or above; false: none. */
bool vmap_next(uintptr_t from, struct vmap_area *area);

/* Unmap freed areas now. */
void vmap_purge(void);

struct vmap_stats {
	size_t count[NR_VMAP_KINDS], bytes[NR_VMAP_KINDS];	/* live, in whole pages */
	size_t freed_count, freed_bytes;	/* address space that waits for its unmapping */
};
struct vmap_stats vmap_stats(void);

/* In the child of a fork: the holes that pinned buffers have left are closed. */
void vmap_fork_child(void);

extern struct lock vmap_lock;

#endif
