/* SPDX-License-Identifier: MIT */
/* The listing of virtual areas, in the way of /proc/vmallocinfo. */
#ifndef STELE_OBSERVE_VMINFO_H
#define STELE_OBSERVE_VMINFO_H

void vminfo_print(int fd);

#endif
