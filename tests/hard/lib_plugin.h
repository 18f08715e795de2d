/* SPDX-License-Identifier: MIT */
#ifndef LIB_PLUGIN_H
#define LIB_PLUGIN_H

#include <stddef.h>

/* A block of @n bytes, filled with the tag @n; the caller frees it. */
void *plugin_block(size_t n);

/* Checks and frees a block that the caller made and filled with the tag @n. */
void plugin_release(void *p, size_t n);

#endif
