/* SPDX-License-Identifier: MIT */
#ifndef LIB_LATE_H
#define LIB_LATE_H

/* The library's destructor will write an L to @fd when its blocks were as they should be. */
void late_report_to(int fd);

#endif
