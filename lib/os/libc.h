/* SPDX-License-Identifier: MIT */
/*
 * Functions of libc that few processes call. ld.so looks up what a library names at every
 * start of every program, 0.2 us each; these are looked up by their first call, without
 * locks, so that it may be made in a signal handler.
 *
 *	LIBC(vsnprintf)(buf, size, fmt, ap)
 */
#ifndef STELE_OS_LIBC_H
#define STELE_OS_LIBC_H

#include "base/compiler.h"

#ifdef __GLIBC__
/* The function of this name that ld.so would find, ours apart. */
void *os_libc_symbol(const char *name);

#define LIBC(name) \
	__extension__({ \
		static void *f_; \
		if (!READ_ONCE(f_)) \
			WRITE_ONCE(f_, os_libc_symbol(#name)); \
		(__typeof__(&(name)))READ_ONCE(f_); \
	})
#else
#define LIBC(name) (name)
#endif

#endif
