/* SPDX-License-Identifier: MIT */
/*
 * One ELF file that was loaded into a process, or the separate debug file of one that is gone, opened
 * by libdwfl. All addresses are the file's own: where the process had them, less the bias.
 */
#ifndef STELE_TOOL_OBJECT_H
#define STELE_TOOL_OBJECT_H

#include "intern.h"

struct frame {
	const char *function;	/* demangled; "module+0xoff" where there is no name */
	const char *symbol;	/* as the linker knows it; the same as function for C */
	const char *file;	/* of the source, NULL: not known */
	unsigned line;
	const char *module;	/* path, NULL: no module held the address */
	uint64_t address;	/* in the module: inside the call instruction; else absolute */
	bool inlined;		/* into the frame after it */
	bool named;		/* function is a name from a symbol table or from DWARF */
};

struct object;

/* build_id (hex digits) may be NULL. An object whose file is not there has no names. */
struct object *object_open(struct strings *strings, const char *path, const char *build_id);
void object_close(struct object *object);

/* The frames of one address, innermost (most deeply inlined) first; at least one. */
size_t object_frames(struct object *object, uint64_t address, struct frame **frames);

/* The global variable at the address and the distance into it; NULL: not known. */
const char *object_variable(struct object *object, uint64_t address, uint64_t *offset);

struct object_segment {
	uint64_t address, size, offset;
};
/* The first executable segment; false: not known. */
bool object_code(struct object *object, struct object_segment *segment);

#endif
