/* SPDX-License-Identifier: MIT */
#include "page/limit.h"

#include "tune/tune.h"

static size_t used __initdata;	/* atomic */

bool limit_is_set(void)
{
	return tune.limit != 0;
}

bool limit_charge(size_t bytes)
{
	size_t now = READ_ONCE(used), limit = limit_is_set() ? tune.limit : SIZE_MAX;

	/* Compare and swap: a refused charge must not be seen by others for a moment. */
	do {
		if (now > limit || bytes > limit - now)
			return false;
	} while (!__atomic_compare_exchange_n(&used, &now, now + bytes, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}

void limit_uncharge(size_t bytes)
{
	__atomic_sub_fetch(&used, bytes, __ATOMIC_RELAXED);
}

size_t limit_used(void)
{
	return READ_ONCE(used);
}
