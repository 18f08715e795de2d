/* SPDX-License-Identifier: MIT */
/*
 * html/page.html is the page with marks in it, html/page.css and html/page.js go into it; the Makefile makes
 * strings of them. The data are JSON in a script element, where the only dangerous character is '<'.
 */
#include "html.h"

#include "tools/page.h"

#include <stdlib.h>
#include <string.h>

static bool same_frame(const void *key, size_t index, const void *arg)
{
	return ((const struct html_frames *)arg)->seen.v[index] == key;
}

static size_t frame_number(struct html_frames *frames, const struct frame *f)
{
	uint64_t hash = hash_bytes(0, &f, sizeof(f));
	size_t index = map_find(&frames->map, hash, same_frame, f, frames);
	json_t *entry;

	if (index != MAP_NONE)
		return index;
	if (frames->list == NULL)
		frames->list = json_array();
	entry = json_array();
	json_array_append_new(entry, json_string(f->function));
	json_array_append_new(entry, f->file ? json_string(f->file) : json_null());
	json_array_append_new(entry, json_integer(f->line));
	json_array_append_new(entry, f->module ? json_string(f->module) : json_null());
	json_array_append_new(entry, json_integer(f->inlined));
	json_array_append_new(frames->list, entry);
	map_add(&frames->map, hash, frames->seen.n);
	*vec_push(&frames->seen) = f;
	return frames->seen.n - 1;
}

json_t *html_stack(struct html_frames *frames, const struct trace *trace)
{
	json_t *stack = json_array();
	size_t i;

	for (i = 0; i < trace->n; i++)
		json_array_append_new(
			stack, json_integer((json_int_t)frame_number(frames, trace->frames[i])));
	return stack;
}

void html_frames_free(struct html_frames *frames)
{
	vec_free(&frames->seen);
	map_free(&frames->map);
}

json_t *html_process(const struct snapshot *snap)
{
	json_t *process = json_object(), *history = json_array();
	char *name = report_process(snap);
	size_t i;

	for (i = 0; i < snap->points.n; i++) {
		const struct snap_point *p = &snap->points.v[i];
		json_t *point = json_array();

		json_array_append_new(point, json_number(p->uptime));
		json_array_append_new(point, json_number(p->used));
		json_array_append_new(point, json_number(p->rss));
		json_array_append_new(history, point);
	}
	json_object_set_new(process, "name", json_string(name));
	json_object_set_new(process, "history", history);
	free(name);
	return process;
}

static void put_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

/* For jansson: '<' stands in strings alone, and may be escaped there. */
static int put_json(const char *buf, size_t size, void *arg)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (buf[i] == '<')
			fputs("\\u003c", arg);
		else
			fputc(buf[i], arg);
	}
	return 0;
}

void html_write(FILE *out, const char *title, json_t *data)
{
	const char *at = page_html, *mark;

	for (; (mark = strchr(at, '@')) != NULL; at = strchr(mark + 1, '@') + 1) {
		fwrite(at, 1, (size_t)(mark - at), out);
		if (strncmp(mark, "@TITLE@", 7) == 0)
			put_text(out, title);
		else if (strncmp(mark, "@STYLE@", 7) == 0)
			fputs(page_css, out);
		else if (strncmp(mark, "@SCRIPT@", 8) == 0)
			fputs(page_js, out);
		else if (strncmp(mark, "@DATA@", 6) == 0)
			json_dump_callback(data, put_json, out, JSON_COMPACT);
	}
	fputs(at, out);
	json_decref(data);
}
