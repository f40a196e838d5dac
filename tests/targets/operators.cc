// SPDX-License-Identifier: Apache-2.0
/*
 * operators: every form of operator new and delete, ROUNDS times each, with sizes of their own; then
 * what is too much, with and without a handler. As a program it says "ready" and waits for a line
 * first, and with an argument leaves out what is too much; as a library it shows use_operators(),
 * for hosts that know no C++.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

static const int ROUNDS = 1000;
static const std::align_val_t ALIGNMENT{ 64 };
static volatile std::size_t too_much = PTRDIFF_MAX - 100000;
static int asked;

static void must(bool is_so)
{
	if (!is_so)
		std::abort();
}

/* The sizes begin at 1001. */
static void use_all()
{
	for (int i = 0; i < ROUNDS; i++) {
		::operator delete(::operator new(1001));
		::operator delete[](::operator new[](1002));
		::operator delete(::operator new(1003, std::nothrow), std::nothrow);
		::operator delete[](::operator new[](1004, std::nothrow), std::nothrow);
		::operator delete(::operator new(1005), std::size_t{ 1005 });
		::operator delete[](::operator new[](1006), std::size_t{ 1006 });
		void *aligned[] = { ::operator new(1088, ALIGNMENT),
				    ::operator new[](1152, ALIGNMENT),
				    ::operator new(1216, ALIGNMENT, std::nothrow),
				    ::operator new[](1280, ALIGNMENT, std::nothrow),
				    ::operator new(1344, ALIGNMENT),
				    ::operator new[](1408, ALIGNMENT) };

		for (void *block : aligned)
			must(block && reinterpret_cast<std::uintptr_t>(block) % 64 == 0);
		::operator delete(aligned[0], ALIGNMENT);
		::operator delete[](aligned[1], ALIGNMENT);
		::operator delete(aligned[2], ALIGNMENT, std::nothrow);
		::operator delete[](aligned[3], ALIGNMENT, std::nothrow);
		::operator delete(aligned[4], std::size_t{ 1344 }, ALIGNMENT);
		::operator delete[](aligned[5], std::size_t{ 1408 }, ALIGNMENT);
	}
	::operator delete(nullptr);
	void *nothing = ::operator new(0);
	must(nothing);
	::operator delete(nothing);
}

template <typename Call> static bool throws(Call call)
{
	try {
		call();
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

static void ask_for_too_much()
{
	for (int i = 0; i < 100; i++) {
		must(throws([] { (void)::operator new(too_much); }));
		must(throws([] { (void)::operator new[](too_much); }));
		must(throws([] { (void)::operator new(too_much, ALIGNMENT); }));
		must(throws([] { (void)::operator new[](too_much, ALIGNMENT); }));
	}
	must(!::operator new(too_much, std::nothrow));
	must(!::operator new[](too_much, std::nothrow));
	must(!::operator new(too_much, ALIGNMENT, std::nothrow));
	std::set_new_handler([] {
		if (++asked == 3)
			std::set_new_handler(nullptr);
	});
	must(throws([] { (void)::operator new(too_much); }));
	must(asked == 3);
}

extern "C" int use_operators(void)
{
	use_all();
	ask_for_too_much();
	return ROUNDS;
}

int main(int argc, char **)
{
	std::puts("ready");
	std::fflush(stdout);
	if (std::getchar() == EOF)
		return 0;
	use_all();
	if (argc == 1)
		ask_for_too_much();
	std::printf("{\"rounds\": %d}\n", ROUNDS);
	std::fflush(stdout);
	while (std::getchar() != EOF)
		;
	return 0;
}
