/* SPDX-License-Identifier: MIT */
/*
 * The lines of a snapshot: a table of records, a function for each, and what their fields are made of.
 */
#include "snapshot_reader.h"

#include <stdlib.h>
#include <string.h>

static const char *const root_name[ROOTS] = { "data",	 "stack", "register", "tls",
					      "mapping", "heap",  "ignored" };

/* The next field, NULL: there is none. */
static char *next_field(struct reader *r)
{
	char *field = r->rest, *space;

	if (field == NULL)
		return NULL;
	space = strchr(field, ' ');
	if (space)
		*space++ = '\0';
	r->rest = space;
	return field;
}

static bool digits(const char *field, unsigned base, uint64_t *value)
{
	uint64_t n = 0;

	if (*field == '\0')
		return false;
	for (; *field; field++) {
		unsigned digit = (unsigned char)*field;

		if (digit >= '0' && digit <= '9')
			digit -= '0';
		else if (digit >= 'a' && digit <= 'f')
			digit -= 'a' - 10;
		else
			return false;
		if (digit >= base || __builtin_mul_overflow(n, base, &n) ||
		    __builtin_add_overflow(n, digit, &n))
			return false;
	}
	*value = n;
	return true;
}

static bool number(struct reader *r, const char *what, uint64_t *value)
{
	const char *field = next_field(r);

	if (field == NULL)
		return bad(r, "%s is missing", what);
	return digits(field, 10, value) || bad(r, "%s is not a number", what);
}

static bool address(struct reader *r, const char *what, uint64_t *value)
{
	const char *field = next_field(r);

	if (field == NULL)
		return bad(r, "%s is missing", what);
	return digits(field, 16, value) || bad(r, "%s is not an address", what);
}

/* A reference: a number, or "-" and, where 0 is no id either, 0. */
static bool reference(struct reader *r, const char *what, bool zero_is_none, size_t *value)
{
	uint64_t id;

	if (r->rest && r->rest[0] == '-' && (r->rest[1] == ' ' || r->rest[1] == '\0')) {
		next_field(r);
		*value = NO_INDEX;
		return true;
	}
	if (!number(r, what, &id))
		return false;
	*value = zero_is_none && id == 0 ? NO_INDEX : (size_t)id;
	return true;
}

/* Undoes the escapes in place. */
static bool unescape(struct reader *r, const char *what, char *field)
{
	char *to = field, pair[3] = "";
	uint64_t c;

	for (; *field; field++) {
		if ((unsigned char)*field < 0x20 || (unsigned char)*field > 0x7e)
			return bad(r, "%s has a byte that is not escaped", what);
		if (*field != '%') {
			*to++ = *field;
			continue;
		}
		if (field[1]) {
			pair[0] =
				(char)(field[1] | (field[1] >= 'A' && field[1] <= 'F' ? 0x20 : 0));
			pair[1] =
				(char)(field[2] | (field[2] >= 'A' && field[2] <= 'F' ? 0x20 : 0));
		}
		if (!field[1] || !field[2] || !digits(pair, 16, &c) || c == 0)
			return bad(r, "%s has a bad escape", what);
		*to++ = (char)c;
		field += 2;
	}
	*to = '\0';
	return true;
}

/* A string of its own. On failure *value is what it was. */
static bool string(struct reader *r, const char *what, char **value)
{
	char *field = next_field(r);

	if (field == NULL)
		return bad(r, "%s is missing", what);
	if (!unescape(r, what, field))
		return false;
	free(*value);
	*value = xstrdup(field);
	return true;
}

static bool word(struct reader *r, const char *what, const char *const *names, size_t n,
		 unsigned *value)
{
	const char *field = next_field(r);
	unsigned i;

	if (field == NULL)
		return bad(r, "%s is missing", what);
	for (i = 0; i < n; i++) {
		if (strcmp(field, names[i]) == 0) {
			*value = i;
			return true;
		}
	}
	return bad(r, "unknown %s", what);
}

static bool read_process(struct reader *r)
{
	struct snapshot *snap = r->snap;

	return number(r, "pid", &snap->pid) && number(r, "parent's pid", &snap->ppid) &&
	       string(r, "executable", &snap->exe) && string(r, "directory", &snap->cwd);
}

static bool read_arg(struct reader *r)
{
	return string(r, "argument", vec_push(&r->snap->args));
}

static bool read_reason(struct reader *r)
{
	return string(r, "reason", &r->snap->reason) &&
	       (r->rest == NULL || string(r, "reason", &r->snap->reason_detail));
}

static bool read_time(struct reader *r)
{
	return number(r, "time", &r->snap->taken_ns) && number(r, "uptime", &r->snap->uptime);
}

static bool read_mode(struct reader *r)
{
	unsigned mode;

	if (!word(r, "mode", mode_name, MODES, &mode))
		return false;
	r->snap->mode = mode;
	return r->rest == NULL || number(r, "sampling rate", &r->snap->sample_bytes);
}

static bool read_unwind(struct reader *r)
{
	return string(r, "unwinder", &r->snap->unwinder) && number(r, "depth", &r->snap->depth);
}

static bool read_heap(struct reader *r)
{
	struct snapshot *snap = r->snap;

	snap->has_heap = true;
	return number(r, "heap's bytes", &snap->heap_used) &&
	       number(r, "heap's blocks", &snap->heap_blocks) && number(r, "RSS", &snap->rss) &&
	       number(r, "peak of RSS", &snap->peak_rss);
}

static bool read_scan(struct reader *r)
{
	struct snapshot *snap = r->snap;

	snap->has_scan = true;
	return number(r, "threads", &snap->threads) &&
	       number(r, "stopped threads", &snap->stopped) &&
	       number(r, "bytes scanned", &snap->scanned) &&
	       number(r, "time of the scan", &snap->scan_us) && number(r, "pause", &snap->pause_us);
}

static bool read_module(struct reader *r)
{
	struct snap_module *m = vec_push(&r->snap->modules);
	const char *p;

	m->object = NO_INDEX;
	if (!address(r, "start", &m->start) || !address(r, "end", &m->end) ||
	    !address(r, "bias", &m->bias))
		return false;
	if (m->start >= m->end)
		return bad(r, "the module ends before it starts");
	if (r->rest && strncmp(r->rest, "- ", 2) == 0) {
		next_field(r);
		m->until = UINT64_MAX;
	} else if (!number(r, "generation", &m->until)) {
		return false;
	}
	if (!string(r, "build id", &m->build_id) || !string(r, "path", &m->path))
		return false;
	if (strcmp(m->build_id, "-") == 0) {
		free(m->build_id);
		m->build_id = NULL;
		return true;
	}
	for (p = m->build_id; *p; p++)
		if (strchr("0123456789abcdef", *p) == NULL)
			break;
	return (*p == '\0' && p > m->build_id && (p - m->build_id) % 2 == 0) ||
	       bad(r, "build id is not a hexadecimal string");
}

static bool read_stack(struct reader *r)
{
	struct snap_stack *s = vec_push(&r->snap->stacks);
	const char *p;

	s->line = r->line;
	if (!number(r, "id", &s->id) || !number(r, "generation", &s->generation))
		return false;
	if (s->id == 0)
		return bad(r, "0 is no id of a stack");
	if (r->rest == NULL)
		return true;
	for (p = r->rest, s->n = 1; *p; p++)
		s->n += *p == ' ';
	s->pcs = xalloc(s->n, sizeof(*s->pcs));
	for (s->n = 0; r->rest; s->n++)
		if (!address(r, "frame", &s->pcs[s->n]))
			return false;
	return true;
}

static bool read_root(struct reader *r)
{
	struct snap_root *root = vec_push(&r->snap->roots);
	char *plus, *name = NULL;
	unsigned kind;

	root->line = r->line;
	if (!number(r, "id", &root->id) || !word(r, "kind of root", root_name, ROOTS, &kind))
		return false;
	root->kind = kind;
	if (kind == ROOT_HEAP && r->rest == NULL) {
		root->text = xstrdup("");
		return true;
	}
	if (!string(r, "root", &root->text))
		return false;
	if (kind == ROOT_DATA) {
		plus = strrchr(root->text, '+');
		if (plus == NULL || !digits(plus + 1, 16, &root->offset))
			return bad(r, "root is not of the form PATH+OFFSET");
		*plus = '\0';
	} else if (r->rest && *r->rest) {
		/* the name of a thread, after its id */
		if (!string(r, "name", &name))
			return false;
		plus = xasprintf("%s %s", root->text, name);
		free(root->text);
		free(name);
		root->text = plus;
	}
	return true;
}

static bool read_leak(struct reader *r)
{
	struct snap_leak *leak = vec_push(&r->snap->leaks);
	unsigned kind;

	leak->line = r->line;
	if (!word(r, "kind", kind_name, KINDS, &kind))
		return false;
	leak->kind = kind;
	if (!reference(r, "stack", true, &leak->stack) || !number(r, "blocks", &leak->blocks) ||
	    !number(r, "bytes", &leak->bytes) || !number(r, "least age", &leak->min_age) ||
	    !number(r, "greatest age", &leak->max_age) || !address(r, "address", &leak->address) ||
	    !reference(r, "root", false, &leak->root) ||
	    !reference(r, "leader's stack", true, &leak->via))
		return false;
	if (leak->blocks == 0)
		return bad(r, "a group of no blocks");
	return leak->min_age <= leak->max_age || bad(r, "the least age is above the greatest");
}

static bool read_alloc(struct reader *r)
{
	struct snap_alloc *alloc = vec_push(&r->snap->allocs);

	alloc->line = r->line;
	return reference(r, "stack", true, &alloc->stack) &&
	       number(r, "blocks in use", &alloc->inuse_blocks) &&
	       number(r, "bytes in use", &alloc->inuse_bytes) &&
	       number(r, "blocks", &alloc->total_blocks) && number(r, "bytes", &alloc->total_bytes);
}

static bool read_free(struct reader *r)
{
	struct snap_free *f = vec_push(&r->snap->frees);

	f->line = r->line;
	return reference(r, "stack", true, &f->stack) &&
	       reference(r, "freeing stack", true, &f->free_stack) && number(r, "count", &f->count);
}

static bool read_point(struct reader *r)
{
	struct snapshot *snap = r->snap;
	struct snap_point *point = vec_push(&snap->points);

	if (!number(r, "uptime", &point->uptime) || !number(r, "bytes in use", &point->used) ||
	    !number(r, "RSS", &point->rss))
		return false;
	return snap->points.n < 2 || point[-1].uptime <= point->uptime ||
	       bad(r, "the history runs backwards");
}

static const struct record {
	const char *name;
	bool (*read)(struct reader *r);
	bool once, needed;
} records[] = {
	{ "process", read_process, true, true }, { "arg", read_arg, false, false },
	{ "reason", read_reason, true, false },	 { "time", read_time, true, true },
	{ "mode", read_mode, true, true },	 { "unwind", read_unwind, true, false },
	{ "heap", read_heap, true, false },	 { "scan", read_scan, true, false },
	{ "module", read_module, false, false }, { "stack", read_stack, false, false },
	{ "root", read_root, false, false },	 { "leak", read_leak, false, false },
	{ "alloc", read_alloc, false, false },	 { "free", read_free, false, false },
	{ "point", read_point, false, false },
};
#define RECORDS (sizeof(records) / sizeof(records[0]))

static bool read_record(struct reader *r, const char *name)
{
	size_t i;

	for (i = 0; i < RECORDS; i++) {
		if (strcmp(name, records[i].name) != 0)
			continue;
		if (records[i].once && (r->seen & 1u << i))
			return bad(r, "a second record '%s'", name);
		r->seen |= 1u << i;
		return records[i].read(r);
	}
	return true;
}

static bool read_end(struct reader *r, const char *text)
{
	uint64_t lines;
	size_t i;

	if (!number(r, "number of lines", &lines))
		return false;
	if (lines != r->line - 1)
		return bad(r, "the file has %zu lines before this one, not %llu", r->line - 1,
			   (unsigned long long)lines);
	if (*text)
		return bad(r, "more lines after the end");
	for (i = 0; i < RECORDS; i++)
		if (records[i].needed && !(r->seen & 1u << i))
			return bad(r, "there was no record '%s'", records[i].name);
	return true;
}

static bool read_header(struct reader *r, const char *line)
{
	static const char magic[] = "stele-snapshot ";

	if (strncmp(line, magic, sizeof(magic) - 1) != 0)
		return bad(r, "this is not a snapshot of Stele");
	if (strcmp(line + sizeof(magic) - 1, "1") != 0)
		return bad(r, "snapshot of version '%.20s', this tool reads version 1",
			   line + sizeof(magic) - 1);
	return true;
}

/* text is cut at each newline; the byte after it is 0. */
bool snapshot_read_lines(struct reader *r, char *text)
{
	char *line, *newline;

	for (line = text; *line; line = newline) {
		newline = strchr(line, '\n');
		r->line++;
		if (newline == NULL)
			return bad(r, "the line is cut off");
		*newline++ = '\0';
		r->rest = line;
		if (r->line == 1) {
			if (!read_header(r, line))
				return false;
			continue;
		}
		next_field(r);
		if (strcmp(line, "end") == 0)
			return read_end(r, newline);
		if (!read_record(r, line))
			return false;
	}
	if (r->line == 0)
		return bad(r, "the file is empty");
	return bad(r, "the file is cut off: there is no line 'end'");
}
