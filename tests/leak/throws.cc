/* SPDX-License-Identifier: MIT */
/* Prints the nanoseconds that a throw through ten frames takes, the best of ten rounds. */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

static volatile int sink;

__attribute__((noinline)) static void throw_at(int depth)
{
	if (!depth)
		throw std::runtime_error("thrown");
	throw_at(depth - 1);
	sink = depth;
}

int main()
{
	using clock = std::chrono::steady_clock;
	double best = 1e9;

	for (int round = 0; round < 10; round++) {
		auto begin = clock::now();
		for (int i = 0; i < 2000; i++) {
			try {
				throw_at(10);
			} catch (const std::runtime_error &e) {
				sink = e.what()[0];
			}
		}
		std::chrono::duration<double, std::nano> took = clock::now() - begin;
		if (took.count() / 2000 < best)
			best = took.count() / 2000;
	}
	std::printf("%.0f\n", best);
	return 0;
}
