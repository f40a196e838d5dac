// SPDX-License-Identifier: Apache-2.0
#include "object/demangle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *name, const char *expected)
{
	char *found = demangle_name(name);

	assert_non_null(found);
	assert_string_equal(found, expected);
	free(found);
}

/* The right sides are what `c++filt -p -i` gives. */
static void cxx_names_lose_their_parameters(void **state)
{
	(void)state;
	expect("_ZN2ns5Class6methodEi", "ns::Class::method");
	expect("_ZNSt6vectorIiSaIiEE9push_backERKi",
	       "std::vector<int, std::allocator<int> >::push_back");
	expect("_ZN2nsplERKNS_1AES2_", "ns::operator+");
	expect("_ZNK3FooIPKcE3barEv", "Foo<char const*>::bar");
	expect("_ZN3FooC1Ev", "Foo::Foo");
	expect("_ZN3FooD2Ev", "Foo::~Foo");
	expect("_ZN12_GLOBAL__N_16hiddenEv", "(anonymous namespace)::hidden");
	expect("_Z3addIdET_S0_S0_", "add<double>");
	expect("_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()");
	expect("_Znwm", "operator new");
	expect("_ZNSs6appendEPKc", "std::string::append");
	expect("_ZN3foo3barEv.part.0", "foo::bar");
}

static void legacy_rust_names_lose_their_hash(void **state)
{
	(void)state;
	expect("_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place");
	expect("_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$"
	       "3bar17h930b740aa94f1d3aE",
	       "<Test + 'static as foo::Bar<Test>>::bar");
	expect("_ZN4main4main28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE",
	       "main::main::{{closure}}");
}

static void go_names_stay_as_they_are(void **state)
{
	static const char *const names[] = {
		"main.(*T).Method",
		"net/http.(*conn).serve",
		"main.F[...]",
		"type:.eq.main.T",
		"type..eq.[2]string",
		"main.main.func1.2",
		"go:buildid",
		"_rt0_amd64_linux",
		"_cgo_5716b2d8c5fa_Cfunc_c_mid",
		"gosave_systemstack_switch",
		"encoding/json.Marshal",
		"main.main.gowrap1",
		"main.(*T).Method-fm",
		"vendor/golang.org/x/net/idna.init.0",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect(names[i], names[i]);
}

static void v0_rust_names_are_read(void **state)
{
	(void)state;
	expect("_RNvC6_123foo3bar", "123foo::bar");
	expect("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar");
	expect("_RINvNtC3std3mem8align_ofdEC4main", "std::mem::align_of::<f64>");
	expect("_RNvMC0INtC8arrayvec8ArrayVechKj7b_E3new", "<arrayvec::ArrayVec<u8, 123>>::new");
}

static void other_names_stay_as_they_are(void **state)
{
	static const char *const names[] = {
		"",
		"main",
		"_",
		"_Z",
		"_ZN",
		"_R",
		"_RNv",

		"main.main",
		"runtime.mallocgc",
		"github.com/user/pkg.(*T).Method",
		"_start",
		"Java_java_lang_Object_wait",
		"_Z3fo",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect(names[i], names[i]);
}

/* Stores prefix, len times c, suffix. */
static void fill(char *name, const char *prefix, char c, size_t len, const char *suffix)
{
	size_t prefix_len = strlen(prefix);

	memcpy(name, prefix, prefix_len);
	memset(name + prefix_len, c, len);
	memcpy(name + prefix_len + len, suffix, strlen(suffix) + 1);
}

static void names_over_the_limits_are_not_touched(void **state)
{
	char name[4200], expected[4200];

	(void)state;
	fill(name, "_Z1016", 'x', 1016, "v");
	fill(expected, "", 'x', 1016, "");
	expect(name, expected);
	fill(name, "_Z1020", 'x', 1020, "v");
	expect(name, name);

	fill(name, "_RNvC1a4086_", 'x', 4084, "");
	assert_int_equal(strlen(name), 4096);
	expect(name, name); /* says 4086, has 4084 */
	fill(name, "_RNvC1a4084_", 'x', 4084, "");
	fill(expected, "a::", 'x', 4084, "");
	expect(name, expected);
	fill(name, "_RNvC1a4085_", 'x', 4085, "");
	expect(name, name);
}

/* f<X<int, int>, X<S, S>, ...>: each level is twice the one before, 2^30 characters in 300. */
static void a_name_that_would_grow_without_end_is_not_demangled(void **state)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char name[512] = "_Z1fI1XIiiE";
	size_t len = strlen(name);

	(void)state;
	for (int i = 0; i < 30; i++)
		len += (size_t)snprintf(name + len, sizeof(name) - len, "S0_IS%c_S%c_E",
					digits[i + 1], digits[i + 1]);
	snprintf(name + len, sizeof(name) - len, "Evv");
	expect(name, name);
	/* And afterwards all is as before. */
	expect("_ZN3FooC1Ev", "Foo::Foo");
}

/* f<(Y<Y<... X<int, int>, S>, S>)...>: 2^60 paths to look for a pack along. */
static void a_pack_in_many_substitutions_is_not_looked_for(void **state)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char name[512] = "_Z1fIDp1YI";
	size_t len = strlen(name);

	(void)state;
	for (int i = 0; i < 29; i++)
		len += (size_t)snprintf(name + len, sizeof(name) - len, "S0_I");
	len += (size_t)snprintf(name + len, sizeof(name) - len, "1XIiiE");
	for (int i = 0; i < 30; i++)
		len += (size_t)snprintf(name + len, sizeof(name) - len, "S%c_E", digits[i + 3]);
	snprintf(name + len, sizeof(name) - len, "EvT_");
	expect(name, name);
	expect("_Z1fIJidEEvDpT_", "f<int, double>");
	expect("_Z1fIDp1XIiiEEvT_", "f<(X<int, int>)...>");
}

static void a_binder_of_countless_lifetimes_is_not_counted(void **state)
{
	(void)state;
	expect("_RNvMINvC1a1bFGzzzzzzzz_EuEu1d", "_RNvMINvC1a1bFGzzzzzzzz_EuEu1d");
	expect("_RINvC1a1bFG_RL0_hEuE", "a::b::<for<'a> fn(&'a u8)>");
}

static void deep_nesting_does_not_exhaust_the_stack(void **state)
{
	char name[4200];

	(void)state;
	fill(name, "_Z1f", 'P', 1000, "i");
	expect(name, "f");
	fill(name, "_Z1f", 'P', 4000, "i");
	expect(name, name);
	fill(name, "_RM", 'R', 4000, "");
	expect(name, name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cxx_names_lose_their_parameters),
		cmocka_unit_test(legacy_rust_names_lose_their_hash),
		cmocka_unit_test(v0_rust_names_are_read),
		cmocka_unit_test(go_names_stay_as_they_are),
		cmocka_unit_test(other_names_stay_as_they_are),
		cmocka_unit_test(names_over_the_limits_are_not_touched),
		cmocka_unit_test(a_name_that_would_grow_without_end_is_not_demangled),
		cmocka_unit_test(a_pack_in_many_substitutions_is_not_looked_for),
		cmocka_unit_test(a_binder_of_countless_lifetimes_is_not_counted),
		cmocka_unit_test(deep_nesting_does_not_exhaust_the_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
