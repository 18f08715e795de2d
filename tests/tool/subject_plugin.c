/* SPDX-License-Identifier: MIT */
/*
 * Built twice, with NAME and LATER different: the code is the same size, so the second is likely to
 * be loaded where the first was, and at the same address has another function.
 */
unsigned plugin_call(unsigned (*capture)(void));
extern unsigned NAME(unsigned (*capture)(void));
volatile int plugin_calls;

__attribute__((noinline)) unsigned NAME(unsigned (*capture)(void))
{
	unsigned id = capture();

	plugin_calls++;
	return id;
}

unsigned plugin_call(unsigned (*capture)(void))
{
	unsigned id = NAME(capture);

	plugin_calls++;
	return id;
}
