/* SPDX-License-Identifier: MIT */
#include "tune/tune.h"

#include "base/fmt.h"
#include "os/bug.h"

struct tune_values tune = {
#define TUNE(field, type, def, ...) .field = (def),
#include "tune/tune.def"
#undef TUNE
};

const struct tunable tunables[NR_TUNABLES] = {
#define TUNE(field, ty, def, lo, hi, opt, environment, glibc_name, text) \
	[TUNE_ID_##field] = { .name = #field, .type = (ty), .min = (lo), .max = (hi), \
			      .mallopt = (opt), .env = (environment), \
			      .glibc = (glibc_name), .help = (text) },
#include "tune/tune.def"
#undef TUNE
};

static_assert(sizeof(tune) == NR_TUNABLES * sizeof(uint64_t), "one word per tunable");

static uint8_t sources[NR_TUNABLES] __nearbss;
static bool fixed __nearbss;	/* the dynamics are off, once and for all */

static uint64_t *slot(enum tune_id id)
{
	return (uint64_t *)&tune + id;
}

__near uint64_t tune_value(enum tune_id id)
{
	return READ_ONCE(*slot(id));
}

__near enum tune_source tune_source(enum tune_id id)
{
	return sources[id];
}

static void store(enum tune_id id, uint64_t value, enum tune_source source)
{
	switch (id) {
	case TUNE_ID_trim_threshold:
	case TUNE_ID_top_pad:
	case TUNE_ID_mmap_threshold:
	case TUNE_ID_mmap_max:
		WRITE_ONCE(fixed, true);
		break;
	default:
		break;
	}
	WRITE_ONCE(*slot(id), value);
	sources[id] = (uint8_t)source;
}

bool tune_set(enum tune_id id, uint64_t value, enum tune_source source)
{
	if (value < tunables[id].min || value > tunables[id].max)
		return false;
	store(id, value, source);
	return true;
}

static bool is_stop(char c, const char *stops)
{
	if (!c)
		return true;
	for (; *stops; stops++) {
		if (c == *stops)
			return true;
	}
	return false;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static bool parse_number(const char *s, const char *stops, uint64_t *out)
{
	uint64_t v = 0, unit = 1;
	bool neg = false;
	int base = 10;

	if (*s == '-' || *s == '+')
		neg = *s++ == '-';
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	} else if (s[0] == '0') {
		base = 8;
	}
	if (digit(*s) >= base)
		return false;
	for (; digit(*s) < base; s++) {
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit(*s), &v))
			return false;
	}
	switch (*s) {
	case 'k': case 'K':
		unit = 1ull << 10;
		break;
	case 'm': case 'M':
		unit = 1ull << 20;
		break;
	case 'g': case 'G':
		unit = 1ull << 30;
		break;
	case 't': case 'T':
		unit = 1ull << 40;
		break;
	default:
		break;
	}
	if (unit > 1)
		s++;
	if (!is_stop(*s, stops) || __builtin_mul_overflow(v, unit, &v))
		return false;
	/* -1 means "as large as can be", as in mallopt(M_TRIM_THRESHOLD, -1). */
	*out = neg ? 0 - v : v;
	return true;
}

/* The choices open the help text: "a|b|c: ...". */
static bool parse_choice(const char *help, const char *s, const char *stops, uint64_t *out)
{
	uint64_t n = 0;

	for (const char *c = help; *c; c++) {
		const char *t = s;

		while (*c == *t && *c != '|' && *c != ':') {
			c++;
			t++;
		}
		if ((*c == '|' || *c == ':') && is_stop(*t, stops)) {
			*out = n;
			return true;
		}
		while (*c != '|' && *c != ':')
			c++;
		if (*c == ':')
			break;
		n++;
	}
	return false;
}

static size_t copy_until(char *buf, size_t size, const char *s, const char *stops)
{
	size_t n = 0;

	while (n < size - 1 && !is_stop(s[n], stops)) {
		buf[n] = s[n];
		n++;
	}
	buf[n] = '\0';
	return n;
}

bool tune_set_text(enum tune_id id, const char *text, const char *stops,
		   enum tune_source source)
{
	const struct tunable *t = &tunables[id];
	uint64_t v = 0;
	bool ok;

	if (t->type == TUNE_NAMES || t->type == TUNE_TEXT) {
		/* The environment stays where it is: no copy. */
		v = (uintptr_t)text;
		ok = true;
	} else if (t->type == TUNE_CHOICE) {
		ok = parse_choice(t->help, text, stops, &v) ||
		     parse_number(text, stops, &v);
	} else {
		ok = parse_number(text, stops, &v);
	}
	if (ok && tune_set(id, v, source))
		return true;

	char shown[33];

	copy_until(shown, sizeof(shown), text, stops);
	warn("%s: bad value '%s', keeping %lu", t->name, shown, (unsigned long)*slot(id));
	return false;
}

/* The word of choice @n, which ends at '|' or ':'. */
static const char *choice_word(const char *help, uint64_t n)
{
	for (; n; help++)
		n -= *help == '|';
	return help;
}

size_t tune_format(enum tune_id id, char *buf, size_t size)
{
	uint64_t v = tune_value(id);

	switch (tunables[id].type) {
	case TUNE_CHOICE:
		return copy_until(buf, size, choice_word(tunables[id].help, v), "|:");
	case TUNE_NAMES:
		return copy_until(buf, size, v ? (const char *)(uintptr_t)v : "-", ",\n");
	default:
		return v == UINT64_MAX ? fmt_print(buf, size, "-1") :
					 fmt_print(buf, size, "%lu", (unsigned long)v);
	}
}

__init bool tune_has_name(enum tune_id id, const char *word)
{
	const char *s = (const char *)(uintptr_t)tune_value(id);

	while (s && !is_stop(*s, ",\n")) {
		const char *w = word;

		while (*w && *s == *w) {
			s++;
			w++;
		}
		if (!*w && is_stop(*s, ":,\n"))
			return true;
		while (!is_stop(*s, ":,\n"))
			s++;
		if (*s == ':')
			s++;
	}
	return false;
}

bool tune_text(enum tune_id id, char *buf, size_t size)
{
	const char *s = (const char *)(uintptr_t)tune_value(id);
	size_t n = 0;

	while (s && !is_stop(s[n], ","))
		n++;
	if (!n)
		return false;
	if (n >= size) {
		warn("%s: longer than %lu bytes, ignored", tunables[id].name, (unsigned long)size);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		buf[i] = s[i];
	buf[n] = '\0';
	return true;
}

int tune_mallopt(int param, int value)
{
	for (int i = 0; i < NR_TUNABLES; i++) {
		enum tune_id id = (enum tune_id)i;

		if (!tunables[id].mallopt || tunables[id].mallopt != param)
			continue;
		/* As glibc: sizes are cast, a negative count is none. */
		if (tunables[id].type == TUNE_SIZE)
			return tune_set(id, (uint64_t)(int64_t)value, TUNE_MALLOPT);
		if (id != TUNE_ID_perturb)
			return tune_set(id, (uint64_t)MAX(value, 0), TUNE_MALLOPT);
		/* Any value but 0 fills, with its lowest byte. */
		store(id, (uint32_t)value, TUNE_MALLOPT);
		return 1;
	}
	return 1;
}

__near bool tune_is_dynamic(void)
{
	return !READ_ONCE(fixed);
}

__near void tune_note_unmap(size_t size)
{
	if (READ_ONCE(fixed) || size > TUNE_DYNAMIC_MAX || size < READ_ONCE(tune.mmap_threshold))
		return;
	/* One past, so that the next request of this size is served from a zone. */
	WRITE_ONCE(tune.mmap_threshold, size + 1);
	WRITE_ONCE(tune.trim_threshold, 2 * (uint64_t)size);
}
