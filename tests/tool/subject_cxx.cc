// SPDX-License-Identifier: MIT
// A function of a class template, for the names of C++.
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
} // namespace shop

shop::shelf<long> the_shelf;

extern "C" unsigned cxx_caller(unsigned (*capture)(void));
extern "C" unsigned cxx_caller(unsigned (*capture)(void))
{
	unsigned id = the_shelf.put(capture);
	the_shelf.count++;
	return id;
}
