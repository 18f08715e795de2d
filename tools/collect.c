/* SPDX-License-Identifier: MIT */
/*
 * Every process writes files of its own, named by pid. Those of one process and program make one report
 * (report_build() joins them); a process that became another program by exec() has two.
 */
#include "collect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The end of a snapshot's name; others in the directory are not finished. */
static const char suffix[] = ".snapshot";

char *collect_directory(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir;

	/* STELE_CONF separates by commas, and '%' is special in names of output */
	if (tmp == NULL || tmp[0] != '/' || strpbrk(tmp, ",%"))
		tmp = "/tmp";
	dir = xasprintf("%s/stele-XXXXXX", tmp);
	if (mkdtemp(dir))
		return dir;
	complain("%s: %s", tmp, strerror(errno));
	free(dir);
	return NULL;
}

void collect_remove(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

struct piece {
	struct snapshot *snap; /* until its report is made */
	uint64_t pid;
	char *file;
	size_t group; /* the same for all of one report */
};
typedef VEC(struct piece) pieces;

static int by_time(const void *a, const void *b)
{
	const struct snapshot *x = ((const struct piece *)a)->snap;
	const struct snapshot *y = ((const struct piece *)b)->snap;

	return (x->taken_ns > y->taken_ns) - (x->taken_ns < y->taken_ns);
}

static bool is_snapshot(const char *name)
{
	size_t len = strlen(name), n = sizeof(suffix) - 1;

	return len > n && strcmp(name + len - n, suffix) == 0;
}

static bool read_all(const char *dir, pieces *list)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	bool fine = true;
	size_t i, k;

	if (d == NULL) {
		complain("%s: %s", dir, strerror(errno));
		return false;
	}
	while ((entry = readdir(d))) {
		struct snapshot *snap;
		struct piece *piece;
		char *file;

		if (!is_snapshot(entry->d_name))
			continue;
		file = xasprintf("%s/%s", dir, entry->d_name);
		snap = snapshot_read(file);
		if (snap == NULL) {
			fine = false;
			free(file);
			continue;
		}
		piece = vec_push(list);
		piece->snap = snap;
		piece->pid = snap->pid;
		piece->file = file;
	}
	closedir(d);
	if (list->n > 0)
		qsort(list->v, list->n, sizeof(*list->v), by_time);
	for (i = 0; i < list->n; i++) {
		for (k = 0; k < i && !report_same_process(list->v[k].snap, list->v[i].snap); k++)
			;
		list->v[i].group = k < i ? list->v[k].group : i;
	}
	return fine;
}

/* The group of the program itself: the last program of the first process. */
static size_t main_group(const pieces *list, pid_t pid)
{
	size_t group = NO_INDEX, i;

	for (i = 0; i < list->n; i++)
		if (list->v[i].pid == (uint64_t)pid)
			group = list->v[i].group;
	return group;
}

/* FILE, or for another process FILE with its pid before the suffix. */
static char *output_name(const char *file, const pieces *list, size_t group, bool main)
{
	unsigned long long pid = list->v[group].pid;
	size_t at, i, k = 0;
	char *more = NULL, *name;

	if (main)
		return xstrdup(file);
	form_of_file(file, &at);
	/* a second program of the same process */
	for (i = 0; i < group; i++)
		k += list->v[i].group == i && list->v[i].pid == pid;
	if (k > 0)
		more = xasprintf("-%zu", k + 1);
	name = xasprintf("%.*s.%llu%s%s", (int)at, file, pid, more ? more : "", file + at);
	free(more);
	return name;
}

static bool copy_file(const char *from, const char *to)
{
	FILE *in = fopen(from, "re"), *out;
	char buf[1 << 14];
	size_t n;

	if (in == NULL) {
		complain("%s: %s", from, strerror(errno));
		return false;
	}
	out = output_open(to);
	while (out && (n = fread(buf, 1, sizeof(buf), in)) > 0)
		fwrite(buf, 1, n, out);
	fclose(in);
	return out && output_close(out, to);
}

/* Does the report hold anything that its reader asked for? */
static bool has_rows(const struct report *report)
{
	size_t n;

	report_inuse(report, &n);
	return n > 0;
}

static bool has_lost(const struct report *report)
{
	unsigned kind;
	size_t i;

	for (i = 0; i < report->totals.n; i++)
		for (kind = 0; kind < KINDS; kind++)
			if ((KIND_BIT(kind) & KINDS_LOST & report->shown) &&
			    report->totals.v[i].kind[kind].blocks > 0)
				return true;
	return false;
}

/* Takes the snapshots of the group over. */
static bool report_group(pieces *list, size_t group, bool main, const struct form *form,
			 struct choice *choice, struct symbols *symbols, bool *lost)
{
	struct snapshot **snaps = xalloc(list->n, sizeof(*snaps));
	struct report *report;
	size_t n = 0, i, last = group;
	char *name = choice->output ? output_name(choice->output, list, group, main) : NULL;
	bool fine = true;

	for (i = group; i < list->n; i++) {
		if (list->v[i].group != group)
			continue;
		snaps[n++] = list->v[i].snap;
		last = i;
	}
	choice->filter.by_address = form && form->one_process;
	report = report_build(symbols, snaps, n, &choice->filter, form ? form->show : KINDS_LOST);
	if (name && form)
		fine = form_write(form, report, name);
	else if (name)
		fine = copy_file(list->v[last].file, name);
	else if (main || has_rows(report))
		report_text(stderr, report);
	*lost |= has_lost(report);
	report_free(report);
	free(snaps);
	free(name);
	return fine;
}

bool collect(const char *dir, pid_t pid, const char *no_snapshot, struct choice *choice,
	     bool *lost)
{
	struct symbols *symbols = symbols_new();
	const struct form *form = choice->form;
	pieces list = { 0 };
	bool fine = read_all(dir, &list);
	size_t own = main_group(&list, pid), at, i;

	*lost = false;
	if (form == NULL && choice->output)
		form = form_of_file(choice->output, &at);
	if (own == NO_INDEX && fine) {
		complain("%s", no_snapshot);
		fine = false;
	}
	if (own != NO_INDEX)
		fine &= report_group(&list, own, true, form, choice, symbols, lost);
	for (i = 0; i < list.n; i++)
		if (list.v[i].group == i && i != own)
			fine &= report_group(&list, i, false, form, choice, symbols, lost);
	for (i = 0; i < list.n; i++)
		free(list.v[i].file);
	vec_free(&list);
	symbols_free(symbols);
	return fine;
}
