/* SPDX-License-Identifier: MIT */
/*
 * How a program is put on Stele: where the library is, and the environment that names it.
 */
#ifndef STELE_TOOL_LIBRARY_H
#define STELE_TOOL_LIBRARY_H

/* The absolute path, NULL: not found, and one line has said so. */
char *library_find(void);

/* Put the library before what LD_PRELOAD names, and the settings behind those of STELE_CONF. */
void library_preload(const char *library);
void library_configure(const char *settings);

#endif
