/* SPDX-License-Identifier: MIT */
/* Libraries that are loaded at run time, and that go again; scene "modules". */
#include "truth.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>

typedef void call_fn(void);
typedef void hold_fn(void *p);
typedef void *bare_fn(int depth, size_t size);

#define HELD(name, size, root) \
	CALLED("modules", name, "reachable 1 " #size " root=" root, void *, (void)) \
	{ \
		void *p = malloc(size); \
\
		use(p); \
		return p; \
	}

HELD(case_library_data, 721, "library_data|lib_held")
HELD(case_library_tls, 722, "tls|heap|thread")
HELD(case_library_tls_of_thread, 723, "tls|heap|thread")

static hold_fn *hold_tls;

APART static void *hold_in_thread(void *block_of)
{
	hold_tls(((void *(*)(void))block_of)());
	scrub();
	sleep_forever();
	return NULL;
}

EXPECT("modules", case_in_library, "direct 1 701");
STEP("modules", use_library)
{
	void *lib = truth_load("lib_held");

	((call_fn *)truth_symbol(lib, "case_in_library"))();
	((hold_fn *)truth_symbol(lib, "hold_by_library"))(case_library_data());
	hold_tls = (hold_fn *)truth_symbol(lib, "hold_by_library_tls");
	hold_tls(case_library_tls());
	start_sleeper(hold_in_thread, (void *)case_library_tls_of_thread);
}

EXPECT("modules", case_closed_library, "direct 1 702 then=^below<case_closed_library<use_closed<");
EXPECT("modules", case_closed_data, "direct 1 703");

/* libc keeps what was thread-local until the thread asks for some again; the program cannot. */
CALLED("modules", case_closed_tls, "direct 1 707", void *, (void))
{
	return malloc(707);
}

CALLED("modules", case_closed_tls_of_thread, "direct 1 708", void *, (void))
{
	return malloc(708);
}

STEP("modules", use_closed)
{
	void *lib = truth_load("lib_closed");
	call_fn *last = (call_fn *)truth_symbol(lib, "case_closed_library");

	last();
	((call_fn *)truth_symbol(lib, "case_closed_data"))();
	hold_tls = (hold_fn *)truth_symbol(lib, "hold_by_closed_tls");
	hold_tls(case_closed_tls());
	start_sleeper(hold_in_thread, (void *)case_closed_tls_of_thread);
	NEED(dlclose(lib) == 0);
	NEED(!dladdr((void *)last, &(Dl_info){0}));
}

/*
 * Loaded, called, closed: again and again, so that old and new come to lie at one address, and
 * their thread-local storage under one number.
 */
EXPECT("modules", case_swap_one, "direct 5 3520 then=^case_swap_one<call_swapped<");
EXPECT("modules", case_swap_two, "direct 5 3520 then=^case_swap_two<call_swapped<");
APART static void *call_swapped(const char *library, const char *name)
{
	void *lib = truth_load(library);
	call_fn *call = (call_fn *)truth_symbol(lib, name);

	call();
	NEED(dlclose(lib) == 0);
	return (void *)call;
}

STEP("modules", swap)
{
	int i, same = 0;

	for (i = 0; i < 5; i++) {
		void *one = call_swapped("lib_swap1", "case_swap_one");

		same += one == call_swapped("lib_swap2", "case_swap_two");
	}
	NEED(same > 0);
}

static bare_fn *bare_entry;
CALLED("modules", case_bare, "direct 1 705 then=<bare_entry<case_bare<use_bare<run_cases<main$",
       void, (void))
{
	use(bare_entry(5, 705));
}

STEP("modules", use_bare)
{
	bare_entry = (bare_fn *)truth_symbol(truth_load("lib_bare"), "bare_entry");
	case_bare();
}

/* A handler returns to where no call stands: its frame pointer leads across all the same. */
EXPECT("modules", case_flat_handler,
       "direct 1 706 then=^case_flat_handler<.*raise.*<use_flat<run_cases<main$");

STEP("modules", use_flat)
{
	struct sigaction action = {0}, old;

	action.sa_handler = (void (*)(int))truth_symbol(truth_load("lib_flat"),
							"case_flat_handler");
	NEED(sigaction(SIGUSR1, &action, &old) == 0 && raise(SIGUSR1) == 0 &&
	     sigaction(SIGUSR1, &old, NULL) == 0);
}
