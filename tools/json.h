/* SPDX-License-Identifier: MIT */
/*
 * Parts of JSON documents that more than one form of report is made of.
 */
#ifndef STELE_TOOL_JSON_H
#define STELE_TOOL_JSON_H

#include "report.h"

#include <jansson.h>

json_t *json_number(uint64_t n);
json_t *json_stack(const struct trace *trace);	/* the names */
json_t *json_frames(const struct trace *trace);	/* all that is known of each frame */

/* What is known of the process and the snapshot, into an object. */
void json_describe(json_t *object, const struct snapshot *snap);

/* Writes the document and gives it up. */
void json_write(FILE *out, json_t *root);

#endif
