/* SPDX-License-Identifier: MIT */
/*
 * Built twice, with another name for its one function each time: instruction for instruction the
 * same, so that one library at the other's address makes the same return addresses.
 */
#include "truth.h"

void SWAP_NAME(void);

static _Thread_local void *swap_tls;

APART void SWAP_NAME(void)
{
	HOLD(swap_tls, malloc(704));
}
