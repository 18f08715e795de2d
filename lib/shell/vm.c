/* SPDX-License-Identifier: MIT */
/* Virtual areas, pinned buffers, mapped regions: public names and argument checks. */
#include <errno.h>
#include <string.h>

#include "observe/vminfo.h"
#include "os/bug.h"
#include "os/caller.h"
#include "page/vmap.h"
#include "shell/failed.h"
#include "slab/budget.h"
#include "slab/gfp.h"
#include "stele/pages.h"

#define CALL(name)	static const char call[] = name

static __cold_path void *refuse_size(const char *call, const void *caller)
{
	warn("%s: 0 bytes, called from %pS", call, caller);
	return failed_einval();
}

/* @p is not looked at where there was an error. */
static void *result(int err, void *p)
{
	if (likely(!err))
		return p;
	errno = -err;
	return NULL;
}

/* ---- areas ---- */

static void *attempt(const struct request *r, stele_gfp_t gfp, unsigned how)
{
	void *p = NULL;

	/* An area takes system calls. */
	if (how & ALLOC_GROW &&
	    !vmap_alloc(r->size, gfp & (STELE_GFP_DMA | STELE_GFP_DMA32), r->caller, &p))
		return p;
	return NULL;
}

static void undo(void *p, const struct request *r, bool wait __unused_arg)
{
	struct vmap_area a;

	vmap_free(p, VMAP_ALLOC, r->caller, &a);
}

static const struct request_ops area_ops = { attempt, undo, true };

static void *area(const char *call, size_t size, stele_gfp_t gfp, const void *caller)
{
	struct request r = { .call = call, .caller = caller, .size = size, .align = 1,
			     .ops = &area_ops };

	if (unlikely(!size))
		return refuse_size(call, caller);
	if (unlikely(!pages_ready()))
		return failed_enomem();
	return gfp_alloc(&r, gfp);
}

__public void *stele_vmalloc(size_t size)
{
	return area("stele_vmalloc", size, STELE_GFP_KERNEL, CALLER());
}

/* What an area is made of is zero as it comes. */
__public void *stele_vzalloc(size_t size)
{
	return area("stele_vzalloc", size, STELE_GFP_KERNEL, CALLER());
}

__public void *stele_vmalloc_gfp(size_t size, stele_gfp_t gfp)
{
	return area("stele_vmalloc_gfp", size, gfp, CALLER());
}

/* @a: what @p lies in, unless @e says that it is in nothing. */
static __cold_path void refuse(const char *call, const void *p, enum vmap_error e,
			       const struct vmap_area *a, const void *caller)
{
	static const char *const what[NR_VMAP_KINDS] = {
		"an area of stele_vmalloc()", "a pinned buffer", "a mapped region"
	};
	if (e == VMAP_UNKNOWN)
		warn("%s: %p, called from %pS: in no area", call, p, caller);
	else if (e == VMAP_FREED)
		warn("%s: %p, called from %pS: double free, it was freed by %pS", call, p, caller,
		     a->caller);
	else if (e == VMAP_OTHER_KIND)
		warn("%s: %p, called from %pS: it is in %s at %p", call, p, caller, what[a->kind],
		     (void *)a->addr);
	else
		warn("%s: %p, called from %pS: inside of %s of %lu bytes at %p", call, p, caller,
		     what[a->kind], (unsigned long)a->size, (void *)a->addr);
	errno = EINVAL;
}

/* What was charged for is given back while the address is still its own. */
static void uncharge(const void *p)
{
	struct vmap_area a;

	if (unlikely(READ_ONCE(budget_active)) && vmap_find(p, &a) && !a.freed &&
	    a.kind == VMAP_ALLOC && a.addr == (uintptr_t)p)
		budget_uncharge(p);
}

static void free_area(const char *call, const void *p, enum vmap_kind kind, const void *caller)
{
	struct vmap_area a;
	enum vmap_error e;

	if (!p)
		return;
	uncharge(p);
	e = vmap_free(p, kind, caller, &a);
	if (unlikely(e != VMAP_OK))
		refuse(call, p, e, &a, caller);
}

__public void stele_vfree(const void *p)
{
	free_area("stele_vfree", p, VMAP_ALLOC, CALLER());
}

/* Charged areas do not change their size: another one, and a copy. */
static void *replace(const char *call, const void *p, size_t size, stele_gfp_t gfp,
		     const void *caller)
{
	struct vmap_area a;
	void *q;

	/* No area: freeing it says so. */
	if (!vmap_find(p, &a) || a.freed || a.kind != VMAP_ALLOC || a.addr != (uintptr_t)p) {
		free_area(call, p, VMAP_ALLOC, caller);
		return NULL;
	}
	q = area(call, size, gfp, caller);
	if (!q)
		return NULL;
	memcpy(q, p, MIN(size, a.size));
	free_area(call, p, VMAP_ALLOC, caller);
	return q;
}

__public void *stele_vrealloc(const void *p, size_t size, stele_gfp_t gfp)
{
	CALL("stele_vrealloc");
	const void *caller = CALLER();
	const struct request r = { .call = call, .caller = caller };
	struct vmap_area a;
	enum vmap_error e;
	void *q = NULL;
	int err;

	if (gfp & ~STELE_GFP_ALL)
		return gfp_invalid(&r, "unknown flags");
	if (!size) {
		free_area(call, p, VMAP_ALLOC, caller);
		return NULL;
	}
	if (!p)
		return area(call, size, gfp, caller);
	if (!stele_gfp_blocking(gfp))
		return failed_enomem();
	if (gfp & STELE_GFP_ACCOUNT || READ_ONCE(budget_active))
		return replace(call, p, size, gfp, caller);
	e = vmap_resize(p, size, gfp & STELE_GFP_ZERO, caller, &q, &err, &a);
	if (likely(e == VMAP_OK))
		return result(err, q);
	refuse(call, p, e, &a, caller);
	return NULL;
}

__public int stele_is_vmalloc_addr(const void *p)
{
	struct vmap_area a;

	return vmap_find(p, &a) && !a.freed && a.kind == VMAP_ALLOC &&
	       (uintptr_t)p - a.addr < a.size;
}

__public void stele_vm_unmap_aliases(void)
{
	vmap_purge();
}

/* ---- pinned buffers ---- */

__public void *stele_alloc_pinned(size_t size, unsigned int flags, uint64_t *phys)
{
	CALL("stele_alloc_pinned");
	void *p = NULL;
	int err;

	if (!size)
		return refuse_size(call, CALLER());
	if (flags & ~STELE_PIN_HUGE) {
		warn("%s: unknown flags 0x%x, called from %pS", call, flags, CALLER());
		return failed_einval();
	}
	if (unlikely(!pages_ready()))
		return failed_enomem();
	err = vmap_pin(size, flags & STELE_PIN_HUGE, CALLER(), &p);
	if (!err && phys)
		*phys = os_phys(p);
	return result(err, p);
}

__public void stele_free_pinned(void *p)
{
	free_area("stele_free_pinned", p, VMAP_PINNED, CALLER());
}

__public uint64_t stele_pinned_phys(const void *p)
{
	CALL("stele_pinned_phys");
	struct vmap_area a;

	if (vmap_find(p, &a) && !a.freed && a.kind == VMAP_PINNED && (uintptr_t)p - a.addr < a.size)
		return os_phys(p);
	warn("%s: %p, called from %pS: in no pinned buffer", call, p, CALLER());
	errno = EINVAL;
	return 0;
}

/* ---- mapped regions ---- */

__public void *stele_map_region(int fd, off_t offset, size_t length)
{
	CALL("stele_map_region");
	void *p = NULL;
	int err;

	if (!length)
		return refuse_size(call, CALLER());
	if (unlikely(!pages_ready()))
		return failed_enomem();
	err = offset < 0 ? -EINVAL : vmap_map(fd, (uint64_t)offset, length, CALLER(), &p);
	if (err == -EINVAL)
		warn("%s: %lu bytes at offset %ld of file descriptor %d, called from %pS: not there",
		     call, (unsigned long)length, (long)offset, fd, CALLER());
	return result(err, p);
}

__public void stele_unmap_region(void *p)
{
	free_area("stele_unmap_region", p, VMAP_REGION, CALLER());
}

__public void stele_vmallocinfo(int fd)
{
	vminfo_print(fd);
}
