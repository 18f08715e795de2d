/* SPDX-License-Identifier: MIT */
/*
 * The limit: most bytes that zones and mapped blocks may have together, as the
 * kernel's mem= bounds the pages that there are. Exact, and looked at only where
 * a zone or a mapping grows: what grows is charged first, and gives the charge
 * back when it fails or goes away.
 */
#ifndef STELE_PAGE_LIMIT_H
#define STELE_PAGE_LIMIT_H

#include "base/compiler.h"

/* False: over the limit, nothing charged. */
bool limit_charge(size_t bytes);
void limit_uncharge(size_t bytes);
/* Bytes charged now. */
size_t limit_used(void);
bool limit_is_set(void);

#endif
