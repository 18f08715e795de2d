/* SPDX-License-Identifier: MIT */
/* Tunables: values, where each came from, and how to set them. */
#ifndef STELE_TUNE_TUNE_H
#define STELE_TUNE_TUNE_H

#include "base/compiler.h"

enum tune_type { TUNE_SIZE, TUNE_INT, TUNE_CHOICE, TUNE_NAMES, TUNE_TEXT };

enum tune_source {
	TUNE_DEFAULT,
	TUNE_FILE,		/* the file that configure named */
	TUNE_ENVIRONMENT,	/* MALLOC_..._ variable */
	TUNE_GLIBC,		/* GLIBC_TUNABLES */
	TUNE_CONF,		/* STELE_CONF */
	TUNE_MALLOPT,
};

enum tune_id {
#define TUNE(field, ...) TUNE_ID_##field,
#include "tune/tune.def"
#undef TUNE
	NR_TUNABLES,
};

/* Read by anybody with READ_ONCE, written by tune_set alone. */
struct tune_values {
#define TUNE(field, ...) uint64_t field;
#include "tune/tune.def"
#undef TUNE
};

extern struct tune_values tune;

enum percpu_choice { PERCPU_AUTO, PERCPU_LOCKED, PERCPU_RSEQ };
enum thp_choice { THP_DEFAULT, THP_ALWAYS, THP_NEVER };
enum oom_choice { OOM_NULL, OOM_REPORT, OOM_ABORT };
enum stats_choice { STATS_OFF, STATS_EXIT };
enum leak_choice { LEAK_OFF, LEAK_EXIT, LEAK_ON };
enum deepbind_choice { DEEPBIND_KEEP, DEEPBIND_DROP };
enum usable_choice { USABLE_ROOM, USABLE_EXACT };
enum unwind_choice { UNWIND_AUTO, UNWIND_FP, UNWIND_LIBUNWIND, UNWIND_NONE };
enum scan_choice { SCAN_ON, SCAN_OFF };
enum free_stacks_choice { FREE_STACKS_OFF, FREE_STACKS_ON };

/* Texts rather than pointers to them: nothing here is to be relocated at every start. */
struct tunable {
	enum tune_type type;
	int mallopt;			/* 0: none */
	uint64_t min, max;
	char name[18];
	char env[24], glibc[18];	/* empty: none */
	char help[100];
};

extern const struct tunable tunables[NR_TUNABLES];

uint64_t tune_value(enum tune_id id);
enum tune_source tune_source(enum tune_id id);

/* Store a value. False, nothing changed and no message: out of range. */
bool tune_set(enum tune_id id, uint64_t value, enum tune_source source);

/*
 * Parse "123", "0x7f", "64K", "rseq"... up to the first character of @stops or
 * NUL, and store. A malformed value: one warning line, the old value kept.
 */
bool tune_set_text(enum tune_id id, const char *text, const char *stops,
		   enum tune_source source);

/* The value as one would write it in STELE_CONF: 4096, -1, locked, bash:git. */
size_t tune_format(enum tune_id id, char *buf, size_t size);

/* Is @word among the words of a TUNE_NAMES tunable? */
bool tune_has_name(enum tune_id id, const char *word);

/* Copy a TUNE_TEXT. False: it is not set, empty, or does not fit: nothing copied. */
bool tune_text(enum tune_id id, char *buf, size_t size);

/* mallopt(3): 1 on success or an unknown parameter, 0 on a refused value. */
int tune_mallopt(int param, int value);

/*
 * A file of lines name=value, with # for comments: read before the environment,
 * which overrules it. What cannot be opened is not there.
 */
void tune_read_file(const char *path);
/* Does the environment hold any of what the next one reads? (Or something very like it.) */
bool tune_is_told(char **envp);
/*
 * Read MALLOC_*_, GLIBC_TUNABLES and STELE_CONF, in this order; then print what
 * STELE_CONF=help and confirm ask for.
 */
void tune_read_environment(char **envp);

/*
 * The mmap and trim thresholds follow freed mappings until the program or the
 * environment sets any of trim_threshold, top_pad, mmap_threshold, mmap_max.
 */
bool tune_is_dynamic(void);
#define TUNE_DYNAMIC_MAX	(32u << 20)	/* largest freed mapping that they follow */
/* A mapped block of @size bytes was freed. */
void tune_note_unmap(size_t size);

#endif
