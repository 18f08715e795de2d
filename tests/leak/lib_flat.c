/* SPDX-License-Identifier: MIT */
/* Without tables to unwind by, but with frame pointers. */
#include "truth.h"

void case_flat_handler(int signal);

void case_flat_handler(int signal)
{
	void *p = malloc(706);

	use(p);
	use(&signal);
}
