/* SPDX-License-Identifier: MIT */
#include "observe/names.h"

#include <errno.h>

#include "base/fmt.h"
#include "debug/track.h"
#include "observe/leak.h"
#include "os/proc.h"
#include "tune/tune.h"

#define NUMBERS_MAX	1000000u

struct leak_names leak_names;

static unsigned next_number;

static void copy(char *to, enum tune_id id)
{
	if (!tune_text(id, to, LEAK_PATH_MAX))
		to[0] = '\0';
}

void leak_names_read(void)
{
	copy(leak_names.output, track_sampling ? TUNE_ID_profile_output : TUNE_ID_leak_output);
	copy(leak_names.suppress, TUNE_ID_leak_suppress);
	copy(leak_names.control, TUNE_ID_leak_control);
	for (unsigned k = 0; k < NR_LEAK_KINDS; k++) {
		if (tune_has_name(TUNE_ID_leak_show, leak_kind_names[k]))
			leak_names.show |= 1u << k;
	}
	if (!leak_names.show)
		leak_names.show = 1u << LEAK_DIRECT | 1u << LEAK_INDIRECT | 1u << LEAK_POSSIBLE;
}

static bool is_last_part(const char *name, size_t i)
{
	for (; name[i]; i++) {
		if (name[i] == '/')
			return false;
	}
	return true;
}

size_t leak_expand(char *out, size_t size, const char *name, unsigned number)
{
	size_t n = 0;

	for (size_t i = 0; name[i] && n + 1 < size; i++) {
		char letter = name[i] == '%' ? name[i + 1] : '\0';

		if (letter == 'p')
			n += fmt_print(out + n, size - n, "%d", os_pid());
		else if (letter == 'n')
			n += fmt_print(out + n, size - n, "%u", number);
		else if (letter == 'e' && is_last_part(name, i))
			n += fmt_print(out + n, size - n, "%s", os_program());
		else if (letter == '%')
			out[n++] = '%';
		else
			letter = '\0';
		if (letter)
			i++;
		else
			out[n++] = name[i];
	}
	out[n] = '\0';
	return n;
}

static bool has_letter(const char *name, char letter)
{
	for (; *name; name++) {
		if (name[0] == '%' && name[1] == letter)
			return true;
		if (name[0] == '%' && name[1])
			name++;
	}
	return false;
}

/* After exec the numbers begin anew: what the program before has written stays. */
int leak_output_open(char *path, size_t size)
{
	bool numbered = has_letter(leak_names.output, 'n');

	for (;;) {
		size_t n = leak_expand(path, size, leak_names.output, next_number++);
		int fd;

		if (leak_names.forked && !has_letter(leak_names.output, 'p'))
			fmt_print(path + n, size - n, ".%d", os_pid());
		fd = numbered ? os_open_new(path) : os_open_write(path);
		if (fd != -EEXIST || next_number > NUMBERS_MAX)
			return fd;
	}
}
