// SPDX-License-Identifier: MIT
// A function of a class template, for the names of C++; one inlined into another in a namespace.
namespace shop {
template <typename T> struct shelf {
	T count = 0;
	__attribute__((noinline)) unsigned put(unsigned (*capture)(void))
	{
		unsigned id = capture();
		count++;
		return id;
	}
};

shelf<long> the_shelf;

inline __attribute__((always_inline)) unsigned stock(unsigned (*capture)(void))
{
	unsigned id = the_shelf.put(capture);
	the_shelf.count++;
	return id;
}

__attribute__((noinline)) unsigned sell(unsigned (*capture)(void))
{
	unsigned id = stock(capture);
	the_shelf.count++;
	return id;
}
} // namespace shop

extern "C" unsigned cxx_caller(unsigned (*capture)(void));
extern "C" __attribute__((noinline)) unsigned cxx_caller(unsigned (*capture)(void))
{
	unsigned id = shop::sell(capture);
	shop::the_shelf.count++;
	return id;
}
