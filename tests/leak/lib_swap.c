/* SPDX-License-Identifier: MIT */
/*
 * Built twice, with another name for its one function each time: instruction for instruction the
 * same, so that one library at the other's address makes the same return addresses.
 */
#include "truth.h"

void SWAP_NAME(void);

APART void SWAP_NAME(void)
{
	use(malloc(704));
}
