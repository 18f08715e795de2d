/* SPDX-License-Identifier: MIT */
/* What a request that finds no memory leaves behind: oom=null|report|abort. */
#ifndef STELE_SLAB_OOM_H
#define STELE_SLAB_OOM_H

#include "base/compiler.h"

/*
 * A request of @size bytes is about to fail, and all has been tried. Called
 * without a lock; takes none, and allocates nothing.
 */
void oom_report(size_t size);

#endif
