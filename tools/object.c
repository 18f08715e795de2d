/* SPDX-License-Identifier: MIT */
/*
 * Names come from the symbol tables (.symtab, else .dynsym, else the compressed .gnu_debugdata),
 * inlined functions and lines from DWARF, in the file itself or in a separate debug file that libdwfl
 * finds by build id or debug link. A file whose build id is not the one that was loaded is not
 * asked: wrong names are worse than none.
 */
#include "object.h"

#include "symtab.h"
#include "units.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct object {
	struct strings *strings;
	const char *path;
	Dwfl *dwfl; /* NULL: no file */
	Dwfl_Module *module;
	uint64_t bias; /* libdwfl's address less the file's */
	struct symtab symtab;
	struct units units;
};

/* From the C++ run-time library. */
char *__cxa_demangle(const char *name, char *buf, size_t *len, int *status);

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
};

static bool has_build_id(Dwfl_Module *module, const char *wanted)
{
	const unsigned char *bits;
	GElf_Addr address;
	int n = dwfl_module_build_id(module, &bits, &address), i;
	char hex[3];

	if (wanted == NULL)
		return true;
	if (n <= 0 || strlen(wanted) != 2 * (size_t)n)
		return false;
	for (i = 0; i < n; i++) {
		snprintf(hex, sizeof(hex), "%02x", bits[i]);
		if (memcmp(hex, wanted + 2 * i, 2) != 0)
			return false;
	}
	return true;
}

static bool open_file(struct object *object, const char *file, const char *build_id)
{
	GElf_Addr bias;
	Elf *elf;

	object->dwfl = dwfl_begin(&callbacks);
	if (object->dwfl == NULL)
		return false;
	dwfl_report_begin(object->dwfl);
	object->module = dwfl_report_elf(object->dwfl, base_name(file), file, -1, 0, true);
	dwfl_report_end(object->dwfl, NULL, NULL);
	elf = object->module ? dwfl_module_getelf(object->module, &bias) : NULL;
	if (elf == NULL || !has_build_id(object->module, build_id)) {
		dwfl_end(object->dwfl);
		object->dwfl = NULL;
		object->module = NULL;
		return false;
	}
	object->bias = bias;
	symtab_load(&object->symtab, object->module, bias);
	return true;
}

/* What the file of a snapshot names may be anything; a FIFO would keep us waiting. */
static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0;
}

struct object *object_open(struct strings *strings, const char *path, const char *build_id)
{
	struct object *object = xalloc(1, sizeof(*object));
	char *debug;

	object->strings = strings;
	object->path = strings_keep(strings, path);
	if (path[0] != '/')
		return object;
	if (is_file(path) && open_file(object, path, build_id))
		return object;
	if (build_id && strlen(build_id) > 2) {
		debug = xasprintf("/usr/lib/debug/.build-id/%.2s/%s.debug", build_id, build_id + 2);
		if (is_file(debug) && open_file(object, debug, build_id)) {
			free(debug);
			return object;
		}
		free(debug);
	}
	if (access(path, F_OK) == 0)
		complain("%s: not readable, or not the file that was loaded: no names from it",
			 path);
	return object;
}

void object_close(struct object *object)
{
	if (object == NULL)
		return;
	symtab_free(&object->symtab);
	units_free(&object->units);
	if (object->dwfl)
		dwfl_end(object->dwfl);
	free(object);
}

/* The length without what compilers add to the names of parts and copies of a function. */
static size_t plain_length(const char *name)
{
	static const char *const added[] = { ".constprop.", ".isra.", ".part.",	    ".cold",
					     ".lto_priv.",  ".llvm.", ".localalias" };
	size_t len = strlen(name), i;
	const char *at;

	/* a version of the symbol */
	at = strchr(name, '@');
	if (at && at > name)
		len = (size_t)(at - name);
	for (i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
		at = strstr(name, added[i]);
		if (at && at > name && (size_t)(at - name) < len)
			len = (size_t)(at - name);
	}
	return len;
}

static void name_frame(struct object *object, struct frame *frame, const char *symbol)
{
	char *plain = xstrndup(symbol, plain_length(symbol)), *demangled = NULL;
	int status;

	frame->symbol = strings_keep(object->strings, plain);
	if (strncmp(plain, "_Z", 2) == 0)
		demangled = __cxa_demangle(plain, NULL, NULL, &status);
	frame->function = demangled ? strings_keep(object->strings, demangled) : frame->symbol;
	frame->named = true;
	free(demangled);
	free(plain);
}

static void name_by_offset(struct object *object, struct frame *frame)
{
	char *name =
		xasprintf("%s+0x%llx", base_name(object->path), (unsigned long long)frame->address);

	frame->function = frame->symbol = strings_keep(object->strings, name);
	free(name);
}

/* A path as the compiler had it, absolute if the directory of the compilation is known. */
static const char *keep_file(struct object *object, const char *file, const char *dir)
{
	const char *kept;
	char *joined;

	if (file == NULL || strcmp(file, "???") == 0 || strcmp(file, "<artificial>") == 0)
		return NULL;
	if (*file == '/' || dir == NULL)
		return strings_keep(object->strings, file);
	joined = xasprintf("%s/%s", dir, file);
	kept = strings_keep(object->strings, joined);
	free(joined);
	return kept;
}

static const char *die_name(Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	const char *name = NULL;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attr) ||
	    dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attr))
		name = dwarf_formstring(&attr);
	return name ? name : dwarf_diename(die);
}

static const char *directory_of(Dwarf_Die *unit)
{
	Dwarf_Attribute attr;

	return dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attr));
}

static void source_of_address(struct object *object, Dwarf_Die *unit, Dwarf_Addr pc,
			      struct frame *frame)
{
	Dwarf_Line *line = dwarf_getsrc_die(unit, pc);
	int number;

	if (line == NULL)
		return;
	frame->file = keep_file(object, dwarf_linesrc(line, NULL, NULL), directory_of(unit));
	if (frame->file && dwarf_lineno(line, &number) == 0 && number > 0)
		frame->line = (unsigned)number;
}

/* Where an inlined function was called. */
static void source_of_call(struct object *object, Dwarf_Die *unit, Dwarf_Die *inlined,
			   struct frame *caller)
{
	Dwarf_Attribute attr;
	Dwarf_Word number;
	Dwarf_Files *files;
	size_t n;

	if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attr), &number) != 0 ||
	    dwarf_getsrcfiles(unit, &files, &n) != 0 || number >= n)
		return;
	caller->file =
		keep_file(object, dwarf_filesrc(files, number, NULL, NULL), directory_of(unit));
	if (caller->file &&
	    dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attr), &number) == 0)
		caller->line = (unsigned)number;
}

/* Adds a frame per inlined function, and completes the last, which is the function itself. */
static void add_inlined(struct object *object, struct unit *unit, Dwarf_Addr pc,
			struct frame **frames, size_t *n)
{
	Dwarf_Die *functions;
	size_t count = unit_functions(unit, pc, &functions), i;

	for (i = 0; i < count; i++) {
		struct frame *frame = &(*frames)[*n - 1];
		const char *name = die_name(&functions[i]);

		if (i == count - 1) {
			if (!frame->named && name)
				name_frame(object, frame, name);
			break;
		}
		*frames = xrealloc(*frames, *n + 1, sizeof(**frames));
		frame = &(*frames)[*n - 1];
		frame[1] = *frame; /* the caller, with the function's own name */
		frame[1].file = NULL;
		frame[1].line = 0;
		source_of_call(object, unit->die, &functions[i], &frame[1]);
		name_frame(object, frame, name ? name : "(inlined)");
		frame->inlined = true;
		(*n)++;
	}
	free(functions);
}

/*
 * The function of a call; or the one that begins behind the address: signals and coroutines return
 * to where nothing has called.
 */
static const char *function_at(const struct object *object, uint64_t address)
{
	uint64_t start;
	const char *symbol = symtab_function(&object->symtab, address, &start);

	if (symbol)
		return symbol;
	symbol = symtab_function(&object->symtab, address + 1, &start);
	return symbol && start == address + 1 ? symbol : NULL;
}

size_t object_frames(struct object *object, uint64_t address, struct frame **frames)
{
	struct frame *frame = xalloc(1, sizeof(*frame));
	const char *symbol = NULL;
	struct unit *unit;
	Dwarf_Addr pc;
	size_t n = 1;

	frame->module = object->path;
	frame->address = address;
	*frames = frame;
	if (object->module) {
		symbol = function_at(object, address);
		if (symbol)
			name_frame(object, frame, symbol);
		unit = units_at(&object->units, object->module, address + object->bias, &pc);
		if (unit) {
			source_of_address(object, unit->die, pc, frame);
			add_inlined(object, unit, pc, frames, &n);
		}
	}
	frame = &(*frames)[n - 1];
	if (!frame->named)
		name_by_offset(object, frame);
	return n;
}

const char *object_variable(struct object *object, uint64_t address, uint64_t *offset)
{
	struct frame frame = { 0 };
	const char *symbol = symtab_variable(&object->symtab, address, offset);

	if (symbol == NULL)
		return NULL;
	*offset = address - *offset;
	name_frame(object, &frame, symbol);
	return frame.function;
}

bool object_code(struct object *object, struct object_segment *segment)
{
	GElf_Addr bias;
	Elf *elf = object->module ? dwfl_module_getelf(object->module, &bias) : NULL;
	GElf_Phdr phdr;
	size_t n, i;

	if (elf == NULL || elf_getphdrnum(elf, &n) != 0)
		return false;
	for (i = 0; i < n; i++) {
		if (gelf_getphdr(elf, (int)i, &phdr) == NULL)
			return false;
		if (phdr.p_type != PT_LOAD || !(phdr.p_flags & PF_X))
			continue;
		segment->address = phdr.p_vaddr & ~4095ull;
		segment->size =
			((phdr.p_vaddr + phdr.p_memsz + 4095) & ~4095ull) - segment->address;
		segment->offset = phdr.p_offset & ~4095ull;
		return true;
	}
	return false;
}
