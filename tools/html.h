/* SPDX-License-Identifier: MIT */
/*
 * The self-contained page, and the tables that its script draws from.
 */
#ifndef STELE_TOOL_HTML_H
#define STELE_TOOL_HTML_H

#include "json.h"

/* Every frame that a page mentions, once; stacks are lists of their numbers. */
struct html_frames {
	json_t *list;
	VEC(const struct frame *) seen;
	struct map map;
};

json_t *html_stack(struct html_frames *frames, const struct trace *trace);
void html_frames_free(struct html_frames *frames);

/* A process for the page, with its history; the caller may add to it. */
json_t *html_process(const struct snapshot *snap);

/* Writes the page and gives the data up. */
void html_write(FILE *out, const char *title, json_t *data);

#endif
