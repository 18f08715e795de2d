/* SPDX-License-Identifier: MIT */
/* The two forms of a report. */
#ifndef STELE_OBSERVE_WRITE_H
#define STELE_OBSERVE_WRITE_H

#include "observe/group.h"
#include "observe/mark.h"
#include "observe/out.h"

/* For people, to report_fd; only kinds of the set @show (1 << kind). */
void leak_write_text(struct out *o, const struct groups *g, const struct leak_facts *f,
		     unsigned show);

/* For the tool: the format is in stele-snapshot(5). All kinds. */
void leak_write_snapshot(struct out *o, const struct groups *g, const struct leak_facts *f);

/* Resident memory now and at most, in bytes. */
void leak_rss(size_t *now, size_t *peak);

#endif
