// SPDX-License-Identifier: Apache-2.0
/* The file that is looked at is the test itself, which an assembler gives its notes. */
#include "runtime/otel.h"
#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <string.h>

#include <cmocka.h>

/* A probe as SystemTap's <sys/sdt.h> makes it: a nop, and a note that tells where it is. */
#define NOTE(name, arguments)                                                                      \
	"990: nop\n"                                                                               \
	".pushsection .note.stapsdt, \"\", \"note\"\n"                                             \
	".balign 4\n"                                                                              \
	".4byte 992f - 991f, 994f - 993f, 3\n"                                                     \
	"991: .asciz \"stapsdt\"\n"                                                                \
	"992: .balign 4\n"                                                                         \
	"993: .8byte 990b, _.stapsdt.base, 0\n"                                                    \
	".asciz \"otel_memory\"\n"                                                                 \
	".asciz \"" name "\"\n"                                                                    \
	".asciz \"" arguments "\"\n"                                                               \
	"994: .balign 4\n"                                                                         \
	".popsection\n"

__asm__(".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"
	".weak _.stapsdt.base\n"
	".hidden _.stapsdt.base\n"
	"_.stapsdt.base: .space 1\n"
	".popsection\n");

__asm__(".pushsection .text\n"
	".globl emit_notes\n"
	"emit_notes:\n" NOTE("alloc", "8@%rdi 8@%rsi 8@%rdx") NOTE("other", "8@%rdi")
		NOTE("alloc", "8@%rdi 8@%rsi") NOTE("alloc", "8@%rdi 8@%rsi 8f@%xmm0")
			NOTE("free", "8@-16(%rbp)") NOTE("free", "") "ret\n"
								     ".popsection\n");

void emit_notes(void);

static struct object *open_object(const char *path)
{
	struct object *object;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(object_open(fd, path, &object), 0);
	return object;
}

static uint8_t byte_at(const struct object *object, uint64_t offset)
{
	uint64_t vaddr;
	uint8_t byte;

	assert_int_equal(object_offset_to_vaddr(object, offset, &vaddr), 0);
	assert_int_equal(object_read(object, vaddr, &byte, 1), 1);
	return byte;
}

static void probes_with_their_arguments_are_found_frees_first(void **state)
{
	struct object *object = open_object("/proc/self/exe");
	struct otel_sites sites;

	(void)state;
	emit_notes();
	assert_int_equal(otel_find_sites(object, &sites), 0);
	assert_int_equal(sites.count, 2);
	assert_true(sites.items[0].is_free);
	assert_false(sites.items[1].is_free);
	assert_int_equal(sites.items[0].offset - sites.items[1].offset, 4);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(byte_at(object, sites.items[i].offset), 0x90);
		assert_int_equal(sites.items[i].semaphore_offset, 0);
	}
	assert_int_equal(sites.items[0].spec.arguments[0].from, USDT_FROM_MEMORY);
	assert_int_equal(sites.items[1].spec.arguments[2].from, USDT_FROM_REGISTER);
	assert_false(sites.is_sampler);
	object_free(object);
}

static void files_that_emit_nothing_have_no_sites(void **state)
{
	static const char *const paths[] = { "/usr/lib/x86_64-linux-gnu/libc.so.6",
					     "/usr/lib/x86_64-linux-gnu/libstdc++.so.6" };
	struct otel_sites sites;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct object *object = open_object(paths[i]);

		assert_int_equal(otel_find_sites(object, &sites), 0);
		assert_int_equal(sites.count, 0);
		object_free(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probes_with_their_arguments_are_found_frees_first),
		cmocka_unit_test(files_that_emit_nothing_have_no_sites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
