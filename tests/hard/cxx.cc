/* SPDX-License-Identifier: MIT */
/* C++: every form of operator new and delete, their failures, and containers at work. */
#include <malloc.h>

#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "hard.h"

namespace {

const std::nothrow_t &quiet = std::nothrow;

void *good(void *p, size_t n, size_t align)
{
	CHECK(p, "new of %zu gave nullptr", n);
	CHECK((uintptr_t)p % align == 0, "new of %zu: %p is not aligned to %zu", n, p, align);
	CHECK(malloc_usable_size(p) >= n, "new of %zu: usable %zu", n, malloc_usable_size(p));
	hard_fill(p, n, n);
	hard_verify(p, n, n);
	return p;
}

void plain_forms(size_t n)
{
	::operator delete(good(::operator new(n), n, 16));
	::operator delete(good(::operator new(n), n, 16), n);
	::operator delete(good(::operator new(n, quiet), n, 16), quiet);
	::operator delete[](good(::operator new[](n), n, 16));
	::operator delete[](good(::operator new[](n), n, 16), n);
	::operator delete[](good(::operator new[](n, quiet), n, 16), quiet);
}

void aligned_forms(size_t n, size_t align)
{
	std::align_val_t al{align};

	::operator delete(good(::operator new(n, al), n, align), al);
	::operator delete(good(::operator new(n, al), n, align), n, al);
	::operator delete(good(::operator new(n, al, quiet), n, align), al, quiet);
	::operator delete[](good(::operator new[](n, al), n, align), al);
	::operator delete[](good(::operator new[](n, al), n, align), n, al);
	::operator delete[](good(::operator new[](n, al, quiet), n, align), al, quiet);
}

int handler_calls;

void handler()
{
	if (++handler_calls == 3)
		std::set_new_handler(nullptr);
}

template <typename Form> void must_throw(const char *what, Form form)
{
	bool thrown = false;

	handler_calls = 0;
	std::set_new_handler(handler);
	try {
		form();
	} catch (const std::bad_alloc &) {
		thrown = true;
	}
	std::set_new_handler(nullptr);
	CHECK(thrown, "%s: no bad_alloc", what);
	CHECK(handler_calls == 3, "%s: new_handler called %d times, not 3", what, handler_calls);
}

template <typename Form> void must_be_null(const char *what, Form form)
{
	handler_calls = 0;
	std::set_new_handler(handler);
	CHECK(form() == nullptr, "%s: not nullptr", what);
	std::set_new_handler(nullptr);
	CHECK(handler_calls == 3, "%s: new_handler called %d times, not 3", what, handler_calls);
}

void failures(size_t n)
{
	std::align_val_t al{4096};

	must_throw("new", [=] { hard_hide(::operator new(n)); });
	must_throw("new[]", [=] { hard_hide(::operator new[](n)); });
	must_throw("aligned new", [=] { hard_hide(::operator new(n, al)); });
	must_throw("aligned new[]", [=] { hard_hide(::operator new[](n, al)); });
	must_be_null("nothrow new", [=] { return ::operator new(n, quiet); });
	must_be_null("nothrow new[]", [=] { return ::operator new[](n, quiet); });
	must_be_null("aligned nothrow new", [=] { return ::operator new(n, al, quiet); });
	must_be_null("aligned nothrow new[]", [=] { return ::operator new[](n, al, quiet); });
}

/* The handler may throw in its turn; that exception reaches the caller. */
char *reserve;

void give_reserve()
{
	std::set_new_handler(nullptr);
	delete[] reserve;
	reserve = nullptr;
	throw std::runtime_error("reserve gone");
}

void handler_throws()
{
	bool thrown = false;

	reserve = new char[1000];
	std::set_new_handler(give_reserve);
	try {
		hard_hide(::operator new(hard_size(SIZE_MAX / 4)));
	} catch (const std::runtime_error &e) {
		thrown = std::string(e.what()) == "reserve gone";
	}
	CHECK(thrown && !reserve, "the handler's own exception was lost");
}

struct alignas(128) Wide {
	char data[200];
	explicit Wide(bool fail)
	{
		if (fail)
			throw std::runtime_error("constructor");
		hard_fill(data, sizeof(data), 5);
	}
	~Wide() { hard_verify(data, sizeof(data), 5); }
};

void containers(uint64_t seed)
{
	std::map<std::string, std::vector<std::string>> m;
	uint64_t rnd = hard_seed(seed);
	int caught = 0;

	for (int i = 0; i < 30000; i++) {
		std::string key = "key " + std::to_string(hard_rand(&rnd) % 500);
		auto &v = m[key];

		v.push_back(std::string(hard_rand(&rnd) % 300, (char)('a' + i % 26)));
		if (v.size() > 20)
			m.erase(key);
		if (i % 100 == 0) {
			auto w = std::make_unique<Wide>(false);

			CHECK((uintptr_t)w.get() % 128 == 0, "make_unique: %p", (void *)w.get());
			try {
				std::string held(1000, 'x');
				delete new Wide(true);
			} catch (const std::runtime_error &) {
				caught++;
			}
		}
	}
	CHECK(caught == 300, "%d exceptions caught", caught);
	for (auto &entry : m)
		for (auto &s : entry.second)
			CHECK(s.find_first_not_of(s.empty() ? 'a' : s[0]) == std::string::npos,
			      "a string lost its contents");
}

} // namespace

int main()
{
	for (size_t n = 0; n < 4 * MIB; n = n * 3 / 2 + 1) {
		plain_forms(n);
		for (size_t align = 8; align <= 65536; align *= 4)
			aligned_forms(n, align);
	}
	::operator delete(nullptr);
	::operator delete[](nullptr, (size_t)100);
	failures(hard_size(SIZE_MAX / 4));
	failures(hard_size((size_t)PTRDIFF_MAX + 100));
	handler_throws();
	std::thread other(containers, 2);
	containers(1);
	other.join();
	return 0;
}
