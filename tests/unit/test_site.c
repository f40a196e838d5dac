// SPDX-License-Identifier: Apache-2.0
#include "object/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static void expect(const uint8_t *code, size_t len, unsigned int arg_count, struct site expected)
{
	struct site site;

	assert_int_equal(site_choose(code, len, arg_count, &site), 0);
	assert_int_equal(site.offset, expected.offset);
	assert_int_equal(site.stack_bytes, expected.stack_bytes);
	assert_int_equal(site.is_cheap, expected.is_cheap);
}

static const struct site slow_entry = { 0 };

static struct site cheap(uint32_t offset, uint32_t stack_bytes)
{
	return (struct site){ .offset = offset, .stack_bytes = stack_bytes, .is_cheap = true };
}

static void an_emulated_first_instruction_is_the_site(void **state)
{
	(void)state;
	expect(BYTES(0x55), 1, cheap(0, 0)); /* push rbp */
	expect(BYTES(0x41, 0x57), 1, cheap(0, 0)); /* push r15 */
	expect(BYTES(0x90), 1, cheap(0, 0)); /* nop */
	expect(BYTES(0xe9, 0, 1, 0, 0), 1, cheap(0, 0)); /* jmp +0x100 */
	expect(BYTES(0xeb, 0x10), 1, cheap(0, 0)); /* jmp +0x10 */
	expect(BYTES(0xe8, 0, 1, 0, 0), 1, cheap(0, 0)); /* call +0x100 */
	expect(BYTES(0x0f, 0x84, 0, 1, 0, 0), 1, cheap(0, 0)); /* je +0x100 */
}

static void the_first_branch_of_known_allocators_is_the_site(void **state)
{
	(void)state;
	/* glibc free: test rdi,rdi; je +0xc0 */
	expect(BYTES(0x48, 0x85, 0xff, 0x0f, 0x84, 0xc0, 0, 0, 0), 1, cheap(3, 0));
	/* jemalloc malloc: cmp rdi,0x1000; ja +0xa0 */
	expect(BYTES(0x48, 0x81, 0xff, 0, 0x10, 0, 0, 0x0f, 0x87, 0xa0, 0, 0, 0), 1, cheap(7, 0));
	/* tcmalloc memalign: mov r8,rdi; cmp rdi,0x2000; ja +0x40 */
	expect(BYTES(0x49, 0x89, 0xf8, 0x48, 0x81, 0xff, 0, 0x20, 0, 0, 0x77, 0x40), 2,
	       cheap(10, 0));
	/* endbr64; test rdi,rdi; je +0x10 */
	expect(BYTES(0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x85, 0xff, 0x74, 0x10), 1, cheap(7, 0));
}

static void a_changed_argument_ends_the_search(void **state)
{
	(void)state;
	/* mov edi,1; push rbp */
	expect(BYTES(0xbf, 1, 0, 0, 0, 0x55), 1, slow_entry);
	/* mov dil,1; push rbp */
	expect(BYTES(0x40, 0xb7, 1, 0x55), 1, slow_entry);
	/* mov ch,1; push rbp: rcx is the fourth */
	expect(BYTES(0xb5, 1, 0x55), 4, slow_entry);
	expect(BYTES(0xb5, 1, 0x55), 3, cheap(2, 0));
	/* mov rax,rsi; mul rdx; push rbp: mul writes rdx */
	expect(BYTES(0x48, 0x89, 0xf0, 0x48, 0xf7, 0xe2, 0x55), 3, slow_entry);
	expect(BYTES(0x48, 0x89, 0xf0, 0x48, 0xf7, 0xe2, 0x55), 2, cheap(6, 0));
	/* cmove rdi,rax; push rbp */
	expect(BYTES(0x48, 0x0f, 0x44, 0xf8, 0x55), 1, slow_entry);
	/* rep stosq; push rbp: writes rdi and rcx */
	expect(BYTES(0xf3, 0x48, 0xab, 0x55), 1, slow_entry);
	/* xchg rsi,rax; push rbp */
	expect(BYTES(0x48, 0x96, 0x55), 2, slow_entry);
	/* mov [rdi],rsi; push rbp: reads only */
	expect(BYTES(0x48, 0x89, 0x37, 0x55), 4, cheap(3, 0));
}

static void the_way_of_the_stack_pointer_is_followed(void **state)
{
	(void)state;
	/* sub rsp,0x18; push rbp */
	expect(BYTES(0x48, 0x83, 0xec, 0x18, 0x55), 1, cheap(4, 0x18));
	/* sub rsp,0x1000; push rbp */
	expect(BYTES(0x48, 0x81, 0xec, 0, 0x10, 0, 0, 0x55), 1, cheap(7, 0x1000));
	/* add rsp,-0x80; push rbp */
	expect(BYTES(0x48, 0x83, 0xc4, 0x80, 0x55), 1, cheap(4, 0x80));
	/* push 1; pop rax; push 2; push rbp */
	expect(BYTES(0x6a, 1, 0x58, 0x6a, 2, 0x55), 1, cheap(5, 8));
	/* push [rax]; push rbp */
	expect(BYTES(0xff, 0x30, 0x55), 1, cheap(2, 8));
}

static void a_lost_stack_pointer_ends_the_search(void **state)
{
	(void)state;
	/* lea rsp,[rsp-8]; push rbp */
	expect(BYTES(0x48, 0x8d, 0x64, 0x24, 0xf8, 0x55), 1, slow_entry);
	/* and rsp,-16; push rbp */
	expect(BYTES(0x48, 0x83, 0xe4, 0xf0, 0x55), 1, slow_entry);
	/* sub rsp,rax; push rbp */
	expect(BYTES(0x48, 0x29, 0xc4, 0x55), 1, slow_entry);
	/* mov esp,eax; push rbp */
	expect(BYTES(0x89, 0xc4, 0x55), 1, slow_entry);
	/* pop rax; push rbp: the return address is gone */
	expect(BYTES(0x58, 0x55), 1, slow_entry);
	/* push 1; pop rsp; push rbp */
	expect(BYTES(0x6a, 1, 0x5c, 0x55), 1, slow_entry);
	/* leave; push rbp */
	expect(BYTES(0xc9, 0x55), 1, slow_entry);
	/* sub rsp,0x7fffffff; push rbp */
	expect(BYTES(0x48, 0x81, 0xec, 0xff, 0xff, 0xff, 0x7f, 0x55), 1, slow_entry);
}

static void nothing_behind_a_way_out_is_taken(void **state)
{
	(void)state;
	expect(BYTES(0xc3, 0x55), 1, slow_entry); /* ret */
	expect(BYTES(0x0f, 0x05, 0x55), 1, slow_entry); /* syscall */
	expect(BYTES(0xff, 0xd0, 0x55), 1, slow_entry); /* call rax */
	expect(BYTES(0xff, 0xe0, 0x55), 1, slow_entry); /* jmp rax */
	expect(BYTES(0xff, 0x25, 0, 0, 0, 0, 0x55), 1, slow_entry); /* jmp [rip] */
	expect(BYTES(0xe3, 0x02, 0x55, 0x90), 1, slow_entry); /* jrcxz +2 */
	expect(BYTES(0xe2, 0x02, 0x55, 0x90), 1, slow_entry); /* loop +2 */
	expect(BYTES(0xcc, 0x55), 1, slow_entry); /* int3 */
	expect(BYTES(0x0f, 0x0b, 0x55), 1, slow_entry); /* ud2 */
	expect(BYTES(0x48, 0x89, 0xf8, 0x06, 0x55), 1, slow_entry); /* mov rax,rdi; (bad) */
}

static void what_only_some_kernels_emulate_is_passed_over(void **state)
{
	(void)state;
	/* nop5; push rbp */
	expect(BYTES(0x0f, 0x1f, 0x44, 0, 0, 0x55), 1, cheap(5, 0));
	/* nop5 alone: the entry, as the last resort */
	expect(BYTES(0x0f, 0x1f, 0x44, 0, 0, 0xc3), 1, slow_entry);
	/* mov rax,rdi; nop5; ret: never a nop5 behind the entry */
	expect(BYTES(0x48, 0x89, 0xf8, 0x0f, 0x1f, 0x44, 0, 0, 0xc3), 1, slow_entry);
	/* 66 nop; pause; xchg r8,rax; push rbp */
	expect(BYTES(0x66, 0x90, 0xf3, 0x90, 0x49, 0x90, 0x55), 1, cheap(6, 0));
	/* rex.W push rbp; ret */
	expect(BYTES(0x48, 0x55, 0xc3), 1, slow_entry);
	/* bnd jmp +0x100 */
	expect(BYTES(0xf2, 0xe9, 0, 1, 0, 0), 1, slow_entry);
}

static void a_site_that_a_branch_passes_again_is_refused(void **state)
{
	(void)state;
	/* mov rax,rdi; push rbp; nop; jmp to the push */
	expect(BYTES(0x48, 0x89, 0xf8, 0x55, 0x90, 0xeb, 0xfc), 1, slow_entry);
	/* mov rax,rdi; test rax,rax; je +0 ; jmp to the test, before the site */
	expect(BYTES(0x48, 0x89, 0xf8, 0x48, 0x85, 0xc0, 0x74, 0, 0xeb, 0xf9), 1, slow_entry);
	/* mov rax,rdi; je to itself */
	expect(BYTES(0x48, 0x89, 0xf8, 0x74, 0xfe), 1, slow_entry);
	/* mov rax,rdi; push rbp; nop; jmp to the nop, behind the site */
	expect(BYTES(0x48, 0x89, 0xf8, 0x55, 0x90, 0xeb, 0xfd), 1, cheap(3, 0));
	/* mov rax,rdi; push rbp; jmp to the entry, which is a call of its own */
	expect(BYTES(0x48, 0x89, 0xf8, 0x55, 0xeb, 0xfa), 1, cheap(3, 0));
	/* mov rax,rdi; push rbp; ret; (bad); jmp to the push, behind bytes that do not decode */
	expect(BYTES(0x48, 0x89, 0xf8, 0x55, 0xc3, 0x06, 0xeb, 0xfb), 1, slow_entry);
}

static void the_search_ends_with_the_given_code(void **state)
{
	uint8_t code[SITE_CODE_BYTES + 1];
	struct site site;

	(void)state;
	assert_int_equal(site_choose(BYTES(0x06), 1, &site), -EINVAL); /* (bad) */
	assert_int_equal(site_choose(BYTES(0x48), 1, &site), -EINVAL); /* cut short */
	assert_int_equal(site_choose(code, 0, 1, &site), -EINVAL);
	/* mov rax,rdi; je, cut short */
	expect(BYTES(0x48, 0x89, 0xf8, 0x0f, 0x84, 0), 1, slow_entry);
	memset(code, 0xf8, sizeof(code)); /* clc */
	code[SITE_CODE_BYTES - 1] = 0x55; /* push rbp */
	expect(code, sizeof(code), 1, cheap(SITE_CODE_BYTES - 1, 0));
	code[SITE_CODE_BYTES - 1] = 0xf8;
	code[SITE_CODE_BYTES] = 0x55;
	expect(code, sizeof(code), 1, slow_entry);
}

static void direct_calls_and_jumps_to_a_target_are_found(void **state)
{
	/* push rbx; call 0x1106; test rax,rax; je 0x1020; pop rbx; jmp 0xf00 */
	static const uint8_t code[] = { 0x53, 0xe8, 0,	  1,	0,    0,    0x48, 0x85, 0xc0,
					0x74, 0x15, 0x5b, 0xe9, 0xef, 0xfe, 0xff, 0xff };

	(void)state;
	assert_true(site_calls(code, sizeof(code), 0x1000, 0x1106));
	assert_true(site_calls(code, sizeof(code), 0x1000, 0x1020));
	assert_true(site_calls(code, sizeof(code), 0x1000, 0xf00));
	assert_false(site_calls(code, sizeof(code), 0x1000, 0x1107));
	assert_false(site_calls(code, sizeof(code), 0x2000, 0x1106));
	assert_true(site_calls(code, sizeof(code), 0xffffffffffffff00, 0x6));
	assert_false(site_calls(code, 5, 0x1000, 0x1106)); /* the call is cut short */
	assert_false(site_calls(BYTES(0xff, 0xd0, 0xc3), 0, 2)); /* call rax */
}

static void returns_are_found_and_no_more_stored_than_asked_for(void **state)
{
	/* ret; mov eax, 0xc3c3c3c3; ret 8; nop; ret */
	static const uint8_t code[] = { 0xc3, 0xb8, 0xc3, 0xc3, 0xc3, 0xc3,
					0xc2, 0x08, 0x00, 0x90, 0xc3 };
	uint32_t offsets[4] = { 0, 0, 0, 7 };

	(void)state;
	assert_int_equal(site_find_returns(code, sizeof(code), offsets, 3), 3);
	assert_int_equal(offsets[0], 0);
	assert_int_equal(offsets[1], 6);
	assert_int_equal(offsets[2], 10);
	assert_int_equal(site_find_returns(code, sizeof(code), offsets, 1), 3);
	assert_int_equal(offsets[3], 7);
	/* A body that is cut within an instruction, or is none, has none that is sure. */
	assert_int_equal(site_find_returns(code, 8, offsets, 3), 0);
	assert_int_equal(site_find_returns(BYTES(0xc3, 0x06), offsets, 3), 0);
}

static void random_code_gives_a_site_inside_it_or_an_error(void **state)
{
	unsigned int seed = 1;
	uint8_t code[96];
	int chosen = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len = (size_t)rand_r(&seed) % sizeof(code);
		unsigned int arg_count = (unsigned int)rand_r(&seed) % 6;
		struct site site;

		for (size_t i = 0; i < len; i++)
			code[i] = (uint8_t)rand_r(&seed);
		if (site_choose(code, len, arg_count, &site) != 0)
			continue;
		chosen++;
		assert_in_range(site.offset, 0, len - 1);
		assert_true(site.is_cheap || (site.offset == 0 && site.stack_bytes == 0));
	}
	assert_in_range(chosen, 10000, 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_emulated_first_instruction_is_the_site),
		cmocka_unit_test(the_first_branch_of_known_allocators_is_the_site),
		cmocka_unit_test(a_changed_argument_ends_the_search),
		cmocka_unit_test(the_way_of_the_stack_pointer_is_followed),
		cmocka_unit_test(a_lost_stack_pointer_ends_the_search),
		cmocka_unit_test(nothing_behind_a_way_out_is_taken),
		cmocka_unit_test(what_only_some_kernels_emulate_is_passed_over),
		cmocka_unit_test(a_site_that_a_branch_passes_again_is_refused),
		cmocka_unit_test(the_search_ends_with_the_given_code),
		cmocka_unit_test(direct_calls_and_jumps_to_a_target_are_found),
		cmocka_unit_test(returns_are_found_and_no_more_stored_than_asked_for),
		cmocka_unit_test(random_code_gives_a_site_inside_it_or_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
