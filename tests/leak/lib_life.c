/* SPDX-License-Identifier: MIT */
/* A library that leaks when it is loaded and when the process ends. */
#include "truth.h"

void case_library_constructor(void);
void case_library_destructor(void);

__attribute__((constructor)) APART void case_library_constructor(void)
{
	use(malloc(711));
}

__attribute__((destructor)) APART void case_library_destructor(void)
{
	use(malloc(712));
}
