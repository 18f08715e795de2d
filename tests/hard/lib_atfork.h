/* SPDX-License-Identifier: MIT */
#ifndef LIB_ATFORK_H
#define LIB_ATFORK_H

/* Loaded between the preload library and libc, it sees who registers handlers of fork. */
struct atfork {
	int calls;
	void (*first)(void);	/* the prepare handler of the first */
	void (*own)(void);	/* that of this library's */
	void (*add)(void);	/* registers handlers that allocate, which ATFORK_EARLY does at once */
	int ran;		/* how often one of those has run */
};

extern struct atfork atfork;

#endif
