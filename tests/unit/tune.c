/* SPDX-License-Identifier: MIT */
/* lib/tune: the table, the parsers, the environment, mallopt, the dynamics. */
#include "common.h"

#include <malloc.h>

#include "tune/tune.h"

#define MIB (1ul << 20)

/* The whole environment of a program that starts. */
#define environment(...) tune_read_environment((char *[]){ __VA_ARGS__, NULL })

static bool set(enum tune_id id, const char *text)
{
	return tune_set_text(id, text, "", TUNE_CONF);
}

START_TEST(table)
{
	for (int id = 0; id < NR_TUNABLES; id++) {
		const struct tunable *t = &tunables[id];

		ck_assert(t->name[0] && t->help[0]);
		/* Too long a text would have been cut where it is kept. */
		ck_assert(!t->name[sizeof(t->name) - 1] && !t->help[sizeof(t->help) - 1]);
		ck_assert(!t->env[sizeof(t->env) - 1] && !t->glibc[sizeof(t->glibc) - 1]);
		ck_assert_uint_le(t->min, t->max);
		ck_assert(tune_value((enum tune_id)id) >= t->min);
		ck_assert(tune_value((enum tune_id)id) <= t->max);
		ck_assert_int_eq(tune_source((enum tune_id)id), TUNE_DEFAULT);
		for (int k = 0; k < id; k++) {
			ck_assert_str_ne(t->name, tunables[k].name);
			ck_assert(!t->mallopt || t->mallopt != tunables[k].mallopt);
		}
		if (t->type == TUNE_CHOICE)
			ck_assert_ptr_nonnull(strchr(t->help, ':'));
	}
	ck_assert(tune_is_dynamic());
	ck_assert_uint_eq(tune.mmap_threshold, 128 << 10);
	ck_assert_uint_eq(tune.mmap_max, 65536);
}
END_TEST

/* Whoever is told nothing must not be sent to the table; whoever is told must. */
START_TEST(told)
{
	char mail[] = "MAIL=x", shell[] = "SHELL=x", conf[] = "STELE_CONF=x";
	char glibc[] = "GLIBC_TUNABLES=x", name[32];

	ck_assert(!tune_is_told((char *[]){ mail, shell, NULL }));
	ck_assert(tune_is_told((char *[]){ mail, conf, NULL }));
	ck_assert(tune_is_told((char *[]){ glibc, mail, NULL }));
	for (int id = 0; id < NR_TUNABLES; id++) {
		snprintf(name, sizeof(name), "%s=1", tunables[id].env);
		ck_assert(!tunables[id].env[0] || tune_is_told((char *[]){ name, NULL }));
	}
}
END_TEST

START_TEST(good_numbers)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "0", 0 }, { "1", 1 }, { "4096", 4096 }, { "+7", 7 }, { "0x10", 16 },
		{ "0XfF", 255 }, { "010", 8 }, { "4k", 4096 }, { "4K", 4096 },
		{ "3m", 3 * MIB }, { "2G", 2048 * MIB }, { "0x1K", 1024 },
		{ "1T", MIB * MIB }, { "2t", 2 * MIB * MIB },
		{ "18446744073709551615", UINT64_MAX }, { "-1", UINT64_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_msg(set(TUNE_ID_top_pad, good[i].text), "%s", good[i].text);
		ck_assert_uint_eq(tune.top_pad, good[i].value);
		ck_assert_uint_eq(tune_value(TUNE_ID_top_pad), good[i].value);
	}
	ck_assert_str_eq(fake_text(), "");
	ck_assert_int_eq(tune_source(TUNE_ID_top_pad), TUNE_CONF);
}
END_TEST

START_TEST(bad_numbers)
{
	static const char *const bad[] = {
		"", "x", "12x", "4kb", "K", "0x", "0xg", "08", "--1", "1 ", " 1", "1.5",
		"18446744073709551616", "17179869184G", "99999999999999999999",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char line[128];

		fake_text_clear();
		ck_assert_msg(!set(TUNE_ID_top_pad, bad[i]), "%s", bad[i]);
		ck_assert_uint_eq(tune.top_pad, 128 << 10);
		snprintf(line, sizeof(line), "stele: top_pad: bad value '%s', keeping 131072\n",
			 bad[i]);
		ck_assert_str_eq(fake_text(), line);
	}
	ck_assert_int_eq(tune_source(TUNE_ID_top_pad), TUNE_DEFAULT);
	ck_assert(tune_is_dynamic());
}
END_TEST

/* A long bad value is cut, not copied. */
START_TEST(bad_long)
{
	char text[5000];

	memset(text, 'z', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert(!set(TUNE_ID_top_pad, text));
	ck_assert_uint_lt(strlen(fake_text()), 120);
	must_say("keeping 131072\n");
}
END_TEST

START_TEST(ranges)
{
	ck_assert(tune_set(TUNE_ID_mxfast, 160, TUNE_CONF));
	ck_assert(!tune_set(TUNE_ID_mxfast, 161, TUNE_CONF));
	ck_assert_uint_eq(tune.mxfast, 160);
	ck_assert(!tune_set(TUNE_ID_mmap_max, 1ull << 31, TUNE_CONF));
	ck_assert(tune_set(TUNE_ID_mmap_max, INT32_MAX, TUNE_CONF));
	ck_assert_str_eq(fake_text(), "");
}
END_TEST

START_TEST(choices)
{
	ck_assert(set(TUNE_ID_percpu, "rseq"));
	ck_assert_uint_eq(tune.percpu, PERCPU_RSEQ);
	ck_assert(set(TUNE_ID_percpu, "locked"));
	ck_assert_uint_eq(tune.percpu, PERCPU_LOCKED);
	ck_assert(set(TUNE_ID_percpu, "auto"));
	ck_assert_uint_eq(tune.percpu, PERCPU_AUTO);
	ck_assert(set(TUNE_ID_percpu, "2"));
	ck_assert_uint_eq(tune.percpu, PERCPU_RSEQ);
	ck_assert(set(TUNE_ID_stats, "exit"));
	ck_assert_uint_eq(tune.stats, STATS_EXIT);
	ck_assert_str_eq(fake_text(), "");

	static const char *const bad[] = { "", "lock", "lockedx", "exit", "3", "auto|locked", "how" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!set(TUNE_ID_percpu, bad[i]), "%s", bad[i]);
	ck_assert_uint_eq(tune.percpu, PERCPU_RSEQ);
	must_say("stele: percpu: bad value 'lock', keeping 2\n");
}
END_TEST

START_TEST(env_names)
{
	environment("HOME=/root", "MALLOC_TRIM_THRESHOLD_=1", "MALLOC_TOP_PAD_=2",
		    "MALLOC_MMAP_THRESHOLD_=3", "MALLOC_MMAP_MAX_=4", "MALLOC_CHECK_=1",
		    "MALLOC_PERTURB_=6", "MALLOC_ARENA_TEST=7", "MALLOC_ARENA_MAX=8");
	ck_assert_uint_eq(tune.trim_threshold, 1);
	ck_assert_uint_eq(tune.top_pad, 2);
	ck_assert_uint_eq(tune.mmap_threshold, 3);
	ck_assert_uint_eq(tune.mmap_max, 4);
	ck_assert_uint_eq(tune.check, 1);
	ck_assert_uint_eq(tune.perturb, 6);
	ck_assert_uint_eq(tune.arena_test, 7);
	ck_assert_uint_eq(tune.arena_max, 8);
	ck_assert_int_eq(tune_source(TUNE_ID_top_pad), TUNE_ENVIRONMENT);
	ck_assert(!tune_is_dynamic());
	ck_assert_str_eq(fake_text(), "");
}
END_TEST

START_TEST(env_near_misses)
{
	environment("XMALLOC_TOP_PAD_=9", "MALLOC_TOP_PAD=9", "MALLOC_TOP_PAD_X=9",
		    "MALLOC_TOP_PAD_", "STELE_CON=top_pad=9", "STELE_CONFX=top_pad=9");
	ck_assert_uint_eq(tune.top_pad, 128 << 10);
	ck_assert(tune_is_dynamic());
	ck_assert_str_eq(fake_text(), "");
}
END_TEST

START_TEST(glibc_tunables)
{
	environment("GLIBC_TUNABLES=glibc.pthread.rseq=0:glibc.malloc.top_pad=0x4000:"
		    "glibc.malloc.tcache_count=7:glibc.malloc.mmap_max=5:"
		    "glibc.malloc.perturb=0xab");
	ck_assert_uint_eq(tune.top_pad, 0x4000);
	ck_assert_uint_eq(tune.mmap_max, 5);
	ck_assert_uint_eq(tune.perturb, 0xab);
	ck_assert_int_eq(tune_source(TUNE_ID_top_pad), TUNE_GLIBC);
	/* Tunables of other parts of libc are none of our business. */
	ck_assert_str_eq(fake_text(), "");
}
END_TEST

START_TEST(glibc_tunables_bad)
{
	environment("GLIBC_TUNABLES=::glibc.malloc.top_pad=many:glibc.malloc.mmap_max=5:");
	ck_assert_uint_eq(tune.top_pad, 128 << 10);
	ck_assert_uint_eq(tune.mmap_max, 5);
	ck_assert_str_eq(fake_text(), "stele: top_pad: bad value 'many', keeping 131072\n");
}
END_TEST

START_TEST(conf)
{
	environment("STELE_CONF=top_pad=64K,percpu=locked,,stats=exit,mmap_max=0");
	ck_assert_uint_eq(tune.top_pad, 65536);
	ck_assert_uint_eq(tune.percpu, PERCPU_LOCKED);
	ck_assert_uint_eq(tune.stats, STATS_EXIT);
	ck_assert_uint_eq(tune.mmap_max, 0);
	ck_assert_str_eq(fake_text(), "");
}
END_TEST

START_TEST(conf_unknown)
{
	environment("STELE_CONF=speed=11,top_pad=1,top_padding=3,mmap_max");
	ck_assert_uint_eq(tune.top_pad, 1);
	ck_assert_str_eq(fake_text(), "stele: STELE_CONF: unknown name 'speed' ignored\n"
				      "stele: STELE_CONF: unknown name 'top_padding' ignored\n"
				      "stele: STELE_CONF: unknown name 'mmap_max' ignored\n");
}
END_TEST

START_TEST(conf_help)
{
	environment("STELE_CONF=help,top_pad=12345");
	for (int id = 0; id < NR_TUNABLES; id++)
		must_say(tunables[id].name);
	must_say("12345  STELE_CONF");
	ck_assert_ptr_null(strstr(fake_text(), "unknown"));
}
END_TEST

START_TEST(conf_confirm)
{
	environment("STELE_CONF=confirm,top_pad=12345,stats=exit,skip=a:b,mmap_max=1");
	must_say("stele: top_pad=12345 (STELE_CONF)\n");
	must_say("stele: stats=exit (STELE_CONF)\n");
	must_say("stele: skip=a:b (STELE_CONF)\n");
	must_say("stele: mmap_max=1 (STELE_CONF)\n");
	must_say("stele: perturb=0 (default)\n");
}
END_TEST

START_TEST(conf_file)
{
	fake.file = "# for all programs, top_pad=1\n\n  top_pad=64K\nmmap_max=7, perturb=3\n"
		    "skip=bash:git\nthp=maybe\nnonsense\noom=report";
	tune_read_file("/etc/stele.conf");
	ck_assert_uint_eq(tune.top_pad, 65536);
	ck_assert_uint_eq(tune.perturb, 3);
	ck_assert_uint_eq(tune.oom, OOM_REPORT);
	ck_assert_int_eq(tune_source(TUNE_ID_top_pad), TUNE_FILE);
	ck_assert(tune_has_name(TUNE_ID_skip, "git"));
	ck_assert(!tune_has_name(TUNE_ID_skip, "thp=maybe"));
	ck_assert_str_eq(fake_text(), "stele: thp: bad value 'maybe', keeping 0\n"
				      "stele: file: unknown name 'nonsense' ignored\n");
	/* the environment comes after it, and wins */
	environment("MALLOC_MMAP_MAX_=8");
	ck_assert_uint_eq(tune.mmap_max, 8);
	ck_assert_uint_eq(tune.perturb, 3);
}
END_TEST

START_TEST(conf_file_missing)
{
	tune_read_file("/etc/stele.conf");
	ck_assert_str_eq(fake_text(), "");
	ck_assert(tune_is_dynamic());
}
END_TEST

START_TEST(conf_file_long)
{
	static char text[10000];

	memset(text, '\n', sizeof(text) - 1);
	memcpy(text, "top_pad=5", 9);
	memcpy(text + 9000, "top_pad=6", 9);
	fake.file = text;
	tune_read_file("/etc/stele.conf");
	ck_assert_uint_eq(tune.top_pad, 5);
	must_say("stele: /etc/stele.conf: longer than 4095 bytes, the rest is ignored\n");
}
END_TEST

/* The later source wins, whatever the order in the environment. */
START_TEST(precedence)
{
	environment("STELE_CONF=top_pad=3", "GLIBC_TUNABLES=glibc.malloc.top_pad=2:"
		    "glibc.malloc.mmap_max=2", "MALLOC_TOP_PAD_=1", "MALLOC_MMAP_MAX_=1",
		    "MALLOC_TRIM_THRESHOLD_=1");
	ck_assert_uint_eq(tune.top_pad, 3);
	ck_assert_uint_eq(tune.mmap_max, 2);
	ck_assert_uint_eq(tune.trim_threshold, 1);
	ck_assert_int_eq(tune_mallopt(M_TOP_PAD, 4), 1);
	ck_assert_uint_eq(tune.top_pad, 4);
	ck_assert_int_eq(tune_source(TUNE_ID_top_pad), TUNE_MALLOPT);
}
END_TEST

START_TEST(mallopt_values)
{
	ck_assert_int_eq(tune_mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
	ck_assert_uint_eq(tune.mmap_threshold, MIB);
	ck_assert_int_eq(tune_mallopt(M_TRIM_THRESHOLD, -1), 1);
	ck_assert_uint_eq(tune.trim_threshold, UINT64_MAX);
	ck_assert_int_eq(tune_mallopt(M_MMAP_MAX, 0), 1);
	ck_assert_uint_eq(tune.mmap_max, 0);
	ck_assert_int_eq(tune_mallopt(M_PERTURB, 0xa5), 1);
	ck_assert_uint_eq(tune.perturb, 0xa5);
	ck_assert_int_eq(tune_mallopt(M_ARENA_MAX, 1), 1);
	ck_assert_int_eq(tune_mallopt(M_ARENA_TEST, 1), 1);
	ck_assert_int_eq(tune_mallopt(M_CHECK_ACTION, 0), 1);
	ck_assert_int_eq(tune_mallopt(M_MXFAST, 160), 1);
	/* Refused: over the range that malloc(3) gives. */
	ck_assert_int_eq(tune_mallopt(M_MXFAST, 161), 0);
	ck_assert_int_eq(tune_mallopt(M_MXFAST, -1), 0);
	ck_assert_uint_eq(tune.mxfast, 160);
	/* Unknown parameters succeed, as in glibc. */
	ck_assert_int_eq(tune_mallopt(-77, 1), 1);
	ck_assert_int_eq(tune_mallopt(0, 1), 1);
	ck_assert_str_eq(fake_text(), "");
}
END_TEST

/* Only a block of at least the threshold, of at most 32 MiB, moves it. */
START_TEST(dynamics)
{
	tune_note_unmap(64 << 10);
	ck_assert_uint_eq(tune.mmap_threshold, 128 << 10);
	tune_note_unmap(MIB);
	ck_assert_uint_gt(tune.mmap_threshold, MIB);
	ck_assert_uint_eq(tune.trim_threshold, 2 * MIB);
	ck_assert(tune_is_dynamic());

	uint64_t before = tune.mmap_threshold;

	tune_note_unmap(512 << 10);
	tune_note_unmap(33 * MIB);
	ck_assert_uint_eq(tune.mmap_threshold, before);
	tune_note_unmap(32 * MIB);
	ck_assert_uint_gt(tune.mmap_threshold, 32 * MIB);
}
END_TEST

/* Each of the four turns the dynamics off for ever; the others do not. */
START_TEST(dynamics_off)
{
	ck_assert(tune_set(TUNE_ID_perturb, 1, TUNE_MALLOPT));
	ck_assert(tune_set(TUNE_ID_arena_max, 1, TUNE_MALLOPT));
	ck_assert(tune_set(TUNE_ID_percpu, PERCPU_LOCKED, TUNE_CONF));
	ck_assert(!tune_set(TUNE_ID_mmap_max, UINT64_MAX, TUNE_MALLOPT));
	ck_assert(tune_is_dynamic());
	tune_note_unmap(MIB);

	uint64_t threshold = tune.mmap_threshold;

	ck_assert_int_eq(tune_mallopt(M_TOP_PAD, 0), 1);
	ck_assert(!tune_is_dynamic());
	tune_note_unmap(4 * MIB);
	ck_assert_uint_eq(tune.mmap_threshold, threshold);
}
END_TEST

static void off_after(enum tune_id id)
{
	ck_assert(tune_is_dynamic());
	ck_assert(tune_set(id, tune_value(id), TUNE_CONF));
	ck_assert(!tune_is_dynamic());
}

START_TEST(off_by_trim_threshold) { off_after(TUNE_ID_trim_threshold); }
END_TEST
START_TEST(off_by_top_pad) { off_after(TUNE_ID_top_pad); }
END_TEST
START_TEST(off_by_mmap_threshold) { off_after(TUNE_ID_mmap_threshold); }
END_TEST
START_TEST(off_by_mmap_max) { off_after(TUNE_ID_mmap_max); }
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		table, told, good_numbers, bad_numbers, bad_long, ranges, choices,
		env_names, env_near_misses, glibc_tunables, glibc_tunables_bad,
		conf, conf_unknown, conf_help, conf_confirm, conf_file, conf_file_missing,
		conf_file_long, precedence, mallopt_values,
		dynamics, dynamics_off, off_by_trim_threshold, off_by_top_pad,
		off_by_mmap_threshold, off_by_mmap_max,
	};

	return unit_run("tune", tests, ARRAY_SIZE(tests));
}
