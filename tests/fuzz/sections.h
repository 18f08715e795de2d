/* SPDX-License-Identifier: MIT */
/*
 * Included before each file of the core in the fuzz target: what the file keeps
 * goes to sections of known bounds, so that it can be put back.
 */
#pragma clang section bss = "core_bss" data = "core_data"
#define __initdata
#define __nearbss
#define __nearbss_table
#define __nearbss_last
