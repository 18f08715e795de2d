/* SPDX-License-Identifier: MIT */
/* What C++ allocates, and the pointers that its objects keep; scene "cxx". */
#include "truth.h"

#include <functional>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

struct aligned_box {
	alignas(256) char bytes[300];
};

CASE("cxx", case_new, "direct 1 901")
{
	use(operator new(901));
}

CASE("cxx", case_new_array, "direct 1 902")
{
	use(new char[902]);
}

CASE("cxx", case_new_nothrow, "direct 1 903")
{
	use(new (std::nothrow) char[903]);
}

CASE("cxx", case_new_aligned, "direct 1 512")
{
	use(new aligned_box);
}

CASE("cxx", case_new_aligned_array, "direct 1 1536")
{
	use(new aligned_box[3]);
}

CASE("cxx", case_deleted, "none")
{
	int *one = new int(1), *many = new int[100];
	aligned_box *box = new aligned_box;

	use(one);
	use(many);
	use(box);
	delete one;
	delete[] many;
	delete box;
}

/* --- objects of the library, lost --- */

CASE("cxx", case_string, "direct 1 32; indirect 1 201")
{
	use(new std::string(200, 'x'));
}

CASE("cxx", case_short_string, "direct 1 32")
{
	use(new std::string("short"));
}

struct with_vector {
	std::vector<int> numbers;
	std::string name;
};

CASE("cxx", case_members, "direct 1 56; indirect 2 501")
{
	auto *w = new with_vector;

	w->numbers.resize(100);
	w->name.assign(100, 'n');
	use(w);
}

CASE("cxx", case_map, "ring 21 848")
{
	auto *m = new std::map<int, int>;

	for (int i = 0; i < 20; i++)
		(*m)[i] = i;
	use(m);
}

CASE("cxx", case_unordered_map, "ring 22 560")
{
	auto *m = new std::unordered_map<int, int>;

	m->reserve(20);
	for (int i = 0; i < 20; i++)
		(*m)[i] = i;
	use(m);
}

CASE("cxx", case_vector_of_strings, "direct 1 24; indirect 11 1330")
{
	auto *v = new std::vector<std::string>;

	v->reserve(10);
	for (int i = 0; i < 10; i++)
		v->emplace_back(100, 'v');
	use(v);
}

struct shared_node {
	std::shared_ptr<shared_node> next;
	char more[100];
};

CASE("cxx", case_shared_cycle, "ring 2 272")
{
	auto one = std::make_shared<shared_node>(), two = std::make_shared<shared_node>();

	one->next = two;
	two->next = one;
}

CASE("cxx", case_shared_pointer, "direct 1 16; indirect 1 136")
{
	use(new std::shared_ptr<shared_node>(std::make_shared<shared_node>()));
}

CASE("cxx", case_function, "direct 1 32; indirect 1 800")
{
	struct {
		long numbers[100];
	} captured = {};

	use(new std::function<long()>([captured] { return captured.numbers[3]; }));
}

CASE("cxx", case_released, "direct 1 904")
{
	auto p = std::unique_ptr<char[]>(new char[904]);

	use(p.release());
}

CALLED("cxx", case_thread_local_objects, "none", void, (void))
{
	static thread_local std::vector<std::string> words(10, std::string(300, 't'));

	use(&words);
}

STEP("cxx", make_thread_local_objects)
{
	std::thread(case_thread_local_objects).join();
}

/* --- objects that are held --- */

static std::string *held_string;
static std::map<int, std::string> *held_map;
static std::function<long()> *held_function;

CASE("cxx", case_string_held, "reachable 2 333 root=held_string")
{
	HOLD(held_string, new std::string(300, 'h'));
}

CASE("cxx", case_map_held, "reachable 11 1413 root=held_map")
{
	HOLD(held_map, (new std::map<int, std::string>));
	for (int i = 0; i < 5; i++)
		held_map->emplace(i, std::string(200, 'm'));
	for (int i = 5; i < 10; i++)
		held_map->emplace(i, std::string());
	for (int i = 5; i < 10; i++)
		held_map->erase(i);
}

CASE("cxx", case_function_held, "reachable 2 832 root=held_function")
{
	struct {
		long numbers[100];
	} captured = {};

	HOLD(held_function, (new std::function<long()>([captured] { return captured.numbers[3]; })));
}

/* Freed before the report by their destructors, which run at exit. */
static std::vector<std::string> held_by_destructor;
static std::map<int, int> static_map;

CASE("cxx", case_destroyed, "none")
{
	for (int i = 0; i < 50; i++) {
		held_by_destructor.emplace_back(100 + i, 'd');
		static_map[i] = i;
	}
}

/* --- objects whose pointer points inside, and the program is right --- */

struct counted {
	virtual ~counted()
	{
		use(this);
	}
	int number = 1;
};

static counted *held_cookie;
CASE("cxx", case_cookie, "reachable 1 168 root=held_cookie")
{
	HOLD(held_cookie, new counted[10]);
}

/* Of no objects, the number is all there is, and the pointer is behind it. */
static counted *held_empty;
CASE("cxx", case_empty_cookie, "reachable 1 8 root=held_empty")
{
	volatile size_t none = 0;

	HOLD(held_empty, new counted[none]);
}

struct first_base {
	virtual ~first_base() = default;
	long a = 1;
};

struct second_base {
	virtual ~second_base() = default;
	long b = 2;
};

struct both : first_base, second_base {
	long c[10] = {};
};

static second_base *held_base;
CASE("cxx", case_second_base, "reachable 1 112 root=held_base")
{
	HOLD(held_base, new both);
}

/* The text of an exception lies behind a header, and the exception points to the text. */
static std::runtime_error *held_error;
CASE("cxx", case_error_text, "reachable 1 16 root=held_error; reachable 1 325")
{
	HOLD(held_error, new std::runtime_error(std::string(300, 'e').c_str()));
}

/* --- exceptions --- */

CASE("cxx", case_caught, "none")
{
	for (int i = 0; i < 1000; i++) {
		try {
			throw std::runtime_error("a text that is long enough to be allocated");
		} catch (const std::exception &e) {
			use(const_cast<char *>(e.what()));
		}
	}
}

struct throws_in_constructor {
	char room[500];
	throws_in_constructor()
	{
		use(this);
		throw 1;
	}
};

CASE("cxx", case_constructor_throws, "none")
{
	for (int i = 0; i < 10; i++) {
		try {
			use(new throws_in_constructor);
		} catch (int) {
		}
	}
}

struct leaks_in_destructor {
	~leaks_in_destructor();
};

/* Called by the unwinder, from a frame that is going away. */
TRUTH_C void case_in_unwinding(void);
EXPECT("cxx", case_in_unwinding, "direct 3 2715 then=^case_in_unwinding<.*main$");
APART void case_in_unwinding(void)
{
	use(malloc(905));
}

APART leaks_in_destructor::~leaks_in_destructor()
{
	case_in_unwinding();
}

APART static void throw_through(int depth)
{
	leaks_in_destructor here;

	use(&here);
	if (!depth)
		throw 7;
	throw_through(depth - 1);
}

STEP("cxx", make_in_unwinding)
{
	try {
		throw_through(2);
	} catch (int) {
	}
}

CASE("cxx", case_lost_by_throw, "direct 1 906")
{
	try {
		use(malloc(906));
		throw std::string("gone");
	} catch (const std::string &s) {
		use(const_cast<char *>(s.data()));
	}
}

/* Two instances of one template: the names differ in their arguments. */
template <typename T> struct maker {
	APART static void make(size_t n)
	{
		use(new T[n]);
	}
};

CASE("cxx", case_template, "direct 2 190")
{
	maker<char>::make(90);
	maker<short>::make(50);
}

/* --- an end in the middle of an exception: scene "catch" --- */

TRUTH_C void case_thrown(void);
EXPECT("catch", case_thrown, "reachable 1 528");
struct thrown {
	char room[400];
};

APART void case_thrown(void)
{
	throw thrown();
}

STEP("catch", end_in_catch)
{
	try {
		case_thrown();
	} catch (const thrown &t) {
		exit(0);
	}
}
