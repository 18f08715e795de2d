/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/compiler.h"
#include "stele.h"

__public const char *stele_version(void)
{
	return PACKAGE_VERSION;
}
