/* SPDX-License-Identifier: MIT */
#include "observe/suppress.h"

#include <string.h>

#include "debug/stack.h"
#include "observe/symbol.h"
#include "os/bug.h"
#include "os/proc.h"

#define FILE_MAX	(1ul << 20)
#define KNOWN		4096u	/* answers that are remembered */

static struct {
	struct vec patterns;	/* const char * */
	struct { uint32_t stack; bool match; } known[KNOWN];
} s;

bool suppress_any(void)
{
	return s.patterns.count > 0;
}

/* One piece between stars. */
static const char *find_piece(const char *text, const char *piece, size_t len)
{
	for (;; text++) {
		size_t i = 0;

		while (i < len && text[i] == piece[i])
			i++;
		if (i == len)
			return text;
		if (!*text)
			return NULL;
	}
}

bool suppress_match(const char *pattern, const char *text)
{
	bool at_start = *pattern == '^';

	pattern += at_start;
	while (*pattern) {
		size_t len = strcspn(pattern, "*$");
		const char *at;

		if (*pattern == '*') {
			at_start = false;
			pattern++;
			continue;
		}
		if (*pattern == '$')
			return at_start || !pattern[1] ? !*text : false;
		/* Before a final $ the piece must be the last of the text. */
		if (pattern[len] == '$' && !at_start) {
			size_t n = strlen(text);

			return n >= len && !memcmp(text + n - len, pattern, len);
		}
		at = find_piece(text, pattern, len);
		if (!at || (at_start && at != text))
			return false;
		text = at + len;
		pattern += len;
		at_start = false;
		if (*pattern == '$')
			return !*text;
	}
	return true;
}

static bool is_word(const char *w, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!(w[i] == '_' || (w[i] >= 'a' && w[i] <= 'z')))
			return false;
	}
	return len > 0;
}

/* False: the line is none of such a file. */
static bool add_line(char *line, size_t len)
{
	const char **p, *colon;

	while (len && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
		len--;
	line[len] = '\0';
	if (strlen(line) != len)
		return false;
	while (*line == ' ' || *line == '\t')
		line++;
	if (!*line || *line == '#')
		return true;
	colon = strchr(line, ':');
	if (!colon || !colon[1] || !is_word(line, (size_t)(colon - line)))
		return false;
	/* Other kinds are other tools' business. */
	if (strncmp(line, "leak:", 5))
		return true;
	p = VEC_ADD(&s.patterns, const char *);
	if (p)
		*p = line + 5;
	return true;
}

void suppress_read(const char *path)
{
	char *text = scratch_alloc(FILE_MAX + 1), *end;
	long len = 0, n = 0;
	unsigned number = 0, bad = 0;
	int fd;

	suppress_end();
	fd = os_open_read(path);
	while (fd >= 0 && text && len < (long)FILE_MAX &&
	       (n = os_read(fd, text + len, FILE_MAX - (size_t)len)) > 0)
		len += n;
	if (fd >= 0)
		os_close(fd);
	if (fd < 0 || n < 0 || !text) {
		warn("leak_suppress: cannot read %s: error %d", path, fd < 0 ? -fd : (int)-n);
		return;
	}
	text[len] = '\0';
	for (char *line = text; line < text + len; line = end) {
		char *stop = memchr(line, '\n', (size_t)(text + len - line));

		end = stop ? stop + 1 : text + len;
		number++;
		if (!add_line(line, (size_t)((stop ? stop : end) - line)) && !bad)
			bad = number;
	}
	if (bad)
		warn("leak_suppress: %s: line %u: not of the form leak:PATTERN", path, bad);
}

void suppress_end(void)
{
	memset(&s, 0, sizeof(s));
}

static bool matches_any(const char *text)
{
	for (size_t i = 0; i < s.patterns.count; i++) {
		if (suppress_match(*VEC_AT(&s.patterns, const char *, i), text))
			return true;
	}
	return false;
}

static bool search(uint32_t stack)
{
	uintptr_t pcs[STACK_DEPTH_MAX];
	uint32_t generation;
	size_t n = stack_get(stack, pcs, &generation);

	for (size_t i = 0; i < n; i++) {
		struct symbol sym;

		symbol_find(pcs[i] - 1, generation, &sym);
		if ((sym.name && matches_any(sym.name)) ||
		    (sym.module && matches_any(sym.module->path)))
			return true;
	}
	return false;
}

bool suppress_stack(uint32_t stack)
{
	if (!s.patterns.count)
		return false;
	if (s.known[stack % KNOWN].stack != stack) {
		s.known[stack % KNOWN].match = search(stack);
		s.known[stack % KNOWN].stack = stack;
	}
	return s.known[stack % KNOWN].match;
}
