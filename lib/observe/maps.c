/* SPDX-License-Identifier: MIT */
#include "observe/maps.h"

#include "os/proc.h"

#define FIRST_BYTES	(64ul << 10)

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static uint64_t hex(char **s)
{
	uint64_t v = 0;

	for (; hex_digit(**s) >= 0; (*s)++)
		v = v << 4 | (uint64_t)hex_digit(**s);
	return v;
}

static bool skip(char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

static void skip_word(char **s)
{
	while (**s && **s != ' ' && **s != '\n')
		(*s)++;
	while (**s == ' ')
		(*s)++;
}

/* "start-end rwxp offset major:minor inode      path" */
static bool parse_line(char **s, struct vma *v)
{
	char *modes, *end;

	v->start = hex(s);
	if (!skip(s, '-'))
		return false;
	v->end = hex(s);
	if (!skip(s, ' '))
		return false;
	modes = *s;
	for (int i = 0; i < 4; i++, (*s)++) {
		if (!**s || **s == '\n')
			return false;
	}
	v->read = modes[0] == 'r';
	v->write = modes[1] == 'w';
	v->exec = modes[2] == 'x';
	v->shared = modes[3] == 's';
	if (!skip(s, ' '))
		return false;
	v->offset = hex(s);
	if (!skip(s, ' '))
		return false;
	skip_word(s);	/* the device */
	for (; **s >= '0' && **s <= '9'; (*s)++)
		v->inode = v->inode * 10 + (uint64_t)(**s - '0');
	while (**s == ' ')
		(*s)++;
	v->path = *s;
	for (end = *s; *end && *end != '\n'; end++)
		;
	*s = *end ? end + 1 : end;
	*end = '\0';
	return v->end > v->start;
}

bool maps_parse(struct maps *m, char *text)
{
	struct vec v = { 0 };

	while (*text) {
		struct vma *e = VEC_ADD(&v, struct vma);

		if (!e || !parse_line(&text, e))
			return false;
	}
	m->at = v.at;
	m->count = v.count;
	return m->count > 0;
}

bool maps_read(struct maps *m)
{
	size_t room = FIRST_BYTES, len = 0;
	char *text = scratch_alloc(room);
	int fd = os_open_read("/proc/thread-self/maps");
	long n = -1;

	while (fd >= 0 && text && (n = os_read(fd, text + len, room - 1 - len)) > 0) {
		len += (size_t)n;
		if (room - 1 - len < FIRST_BYTES / 2) {
			char *more = scratch_alloc(2 * room);

			if (more)
				__builtin_memcpy(more, text, len);
			text = more;
			room *= 2;
		}
	}
	if (fd >= 0)
		os_close(fd);
	if (fd < 0 || !text || n < 0)
		return false;
	text[len] = '\0';
	return maps_parse(m, text);
}

const struct vma *maps_find(const struct maps *m, uintptr_t addr)
{
	size_t lo = 0, hi = m->count;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (addr >= m->at[mid].end)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->count && addr >= m->at[lo].start ? &m->at[lo] : NULL;
}
