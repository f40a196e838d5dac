// SPDX-License-Identifier: Apache-2.0
/* Compared with what readelf says of the files' notes. */
#include "object/usdt.h"
#include "object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_PROBES 4096

static const char *const files[] = {
	"/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
	"/usr/bin/python3",
	"/usr/lib/jvm/*/lib/server/libjvm.so",
	"/usr/lib/x86_64-linux-gnu/libruby*.so.*",
};

/* A probe in readelf's words. */
struct truth {
	char provider[128], name[128], arguments[512];
	unsigned long long location, semaphore;
	bool is_found;
};

struct truths {
	struct truth items[MAX_PROBES];
	size_t count, found;
	const struct object *object;
};

static struct object *open_object(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct object *object;

	assert_true(fd >= 0);
	assert_int_equal(object_open(fd, path, &object), 0);
	return object;
}

static void read_truths(const char *path, struct truths *out)
{
	char command[512], line[2048];
	struct truth *last = NULL;
	FILE *pipe;

	out->count = out->found = 0;
	snprintf(command, sizeof(command), "readelf -nW %s 2>/dev/null", path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		const char *provider = strstr(line, "Provider: ");
		const char *arguments = strstr(line, "    Arguments:");

		line[strcspn(line, "\n")] = '\0';
		if (provider) {
			assert_true(out->count < MAX_PROBES);
			last = &out->items[out->count++];
			*last = (struct truth){ 0 };
			sscanf(provider, "Provider: %127s", last->provider);
		} else if (last && sscanf(line, " Name: %127s", last->name) != 1 && arguments) {
			snprintf(last->arguments, sizeof(last->arguments), "%s", arguments + 15);
		} else if (last) {
			sscanf(line, " Location: %llx, Base: %*x, Semaphore: %llx", &last->location,
			       &last->semaphore);
		}
	}
	pclose(pipe);
}

static const char *register_name(unsigned int place, unsigned int bytes)
{
	static const char *const low[] = { "bp", "bx", "11", "10", "9", "8",
					   "ax", "cx", "dx", "si", "di" };
	static char name[8];
	const char *base = place == 19 ? "sp" : place >= 4 && place <= 14 ? low[place - 4] : "?";

	if (place <= 3 || (place >= 6 && place <= 9)) {
		int number = place <= 3 ? 15 - (int)place : atoi(base);

		snprintf(name, sizeof(name), "r%d%s", number,
			 bytes == 8   ? ""
			 : bytes == 4 ? "d"
			 : bytes == 2 ? "w"
				      : "b");
	} else if (bytes == 1) {
		snprintf(name, sizeof(name), "%.*sl", base[1] == 'x' ? 1 : 2, base);
	} else {
		snprintf(name, sizeof(name), "%s%s",
			 bytes == 8   ? "r"
			 : bytes == 4 ? "e"
				      : "",
			 base);
	}
	return name;
}

/* As an assembler would write it, "0" left out where a displacement is none. */
static void format_argument(const struct usdt_argument *argument, char *text, size_t text_bytes)
{
	int len = snprintf(text, text_bytes, "%s%u@", argument->is_signed ? "-" : "",
			   argument->bytes);

	text += len;
	text_bytes -= (size_t)len;
	switch ((enum usdt_from)argument->from) {
	case USDT_FROM_CONSTANT:
		snprintf(text, text_bytes, "$%lld", argument->value);
		return;
	case USDT_FROM_REGISTER:
		snprintf(text, text_bytes, "%%%s", register_name(argument->base, argument->bytes));
		return;
	case USDT_FROM_MEMORY:
		if (argument->value != 0)
			len = snprintf(text, text_bytes, "%lld", argument->value);
		else
			len = 0;
		len += snprintf(text + len, text_bytes - (size_t)len, "(%%%s",
				register_name(argument->base, 8));
		if (argument->scale != 0)
			len += snprintf(text + len, text_bytes - (size_t)len, ",%%%s,%u",
					register_name(argument->index, 8), argument->scale);
		snprintf(text + len, text_bytes - (size_t)len, ")");
		return;
	default:
		snprintf(text, text_bytes, "nowhere");
	}
}

static void compare_arguments(const struct usdt_probe *probe, const char *wanted)
{
	char copy[512], *rest = NULL;
	uint32_t count = 0;

	snprintf(copy, sizeof(copy), "%s", wanted);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char have[128];

		if (count++ >= USDT_MAX_ARGUMENTS)
			continue;
		format_argument(&probe->spec.arguments[count - 1], have, sizeof(have));
		assert_string_equal(have, word);
	}
	assert_int_equal(probe->argument_count, count);
}

static uint64_t offset_of(const struct object *object, uint64_t vaddr)
{
	uint64_t offset = 0;

	if (vaddr != 0)
		assert_int_equal(object_vaddr_to_offset(object, vaddr, &offset), 0);
	return offset;
}

static int find_truth(const struct usdt_probe *probe, void *arg)
{
	struct truths *truths = arg;

	for (size_t i = 0; i < truths->count; i++) {
		struct truth *truth = &truths->items[i];

		if (truth->is_found || strcmp(truth->provider, probe->provider) != 0 ||
		    strcmp(truth->name, probe->name) != 0 ||
		    offset_of(truths->object, truth->location) != probe->offset)
			continue;
		truth->is_found = true;
		truths->found++;
		assert_int_equal(probe->semaphore_offset,
				 offset_of(truths->object, truth->semaphore));
		compare_arguments(probe, truth->arguments);
		return 0;
	}
	fail_msg("readelf knows no %s:%s there", probe->provider, probe->name);
	return -1;
}

static size_t compare_file(const char *path)
{
	static struct truths truths;
	struct object *object = open_object(path);
	int err;

	read_truths(path, &truths);
	truths.object = object;
	err = usdt_each(object, NULL, find_truth, &truths);
	assert_int_equal(err, truths.count > 0 ? 0 : -ENOENT);
	assert_int_equal(truths.found, truths.count);
	object_free(object);
	return truths.count;
}

static void every_probe_of_real_files_is_as_readelf_shows_it(void **state)
{
	size_t probes = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		glob_t found;

		if (glob(files[i], 0, NULL, &found))
			continue;
		for (size_t j = 0; j < found.gl_pathc; j++)
			probes += compare_file(found.gl_pathv[j]);
		globfree(&found);
	}
	/* libstdc++ alone has three. */
	assert_in_range(probes, 3, SIZE_MAX);
}

static int count_probe(const struct usdt_probe *probe, void *arg)
{
	assert_string_equal(probe->provider, "libstdcxx");
	++*(int *)arg;
	return *(int *)arg == 2 ? 7 : 0;
}

static void a_provider_is_chosen_and_the_visitor_ends_it(void **state)
{
	struct object *object = open_object(files[0]);
	int count = 0;

	(void)state;
	assert_int_equal(usdt_each(object, "libstdcxx", count_probe, &count), 7);
	assert_int_equal(count, 2);
	assert_int_equal(usdt_each(object, "nobody", count_probe, &count), 0);
	assert_int_equal(count, 2);
	object_free(object);
}

static void arguments_take_every_form(void **state)
{
	struct usdt_spec spec;
	const struct usdt_argument *first = &spec.arguments[0];

	(void)state;
	assert_int_equal(usdt_parse_arguments("", &spec), 0);
	assert_int_equal(first->from, USDT_FROM_NOWHERE);
	assert_int_equal(usdt_parse_arguments("  ", &spec), 0);

	assert_int_equal(usdt_parse_arguments("8@%rdi -4@-8(%rbp) 4@$3", &spec), 3);
	assert_int_equal(first->from, USDT_FROM_REGISTER);
	assert_int_equal(first->base, 14);
	assert_int_equal(first->is_signed, 0);
	assert_int_equal(spec.arguments[1].from, USDT_FROM_MEMORY);
	assert_int_equal(spec.arguments[1].bytes, 4);
	assert_int_equal(spec.arguments[1].is_signed, 1);
	assert_int_equal(spec.arguments[1].value, -8);
	assert_int_equal(spec.arguments[2].from, USDT_FROM_CONSTANT);
	assert_int_equal(spec.arguments[2].value, 3);
	assert_int_equal(spec.arguments[3].from, USDT_FROM_NOWHERE);

	assert_int_equal(usdt_parse_arguments("1@%ah", &spec), 1);
	assert_int_equal(first->base, 10);
	assert_int_equal(first->shift, 8);
	assert_int_equal(usdt_parse_arguments("%rsp", &spec), 1);
	assert_int_equal(first->base, 19);
	assert_int_equal(first->bytes, 8);
	assert_int_equal(usdt_parse_arguments("8@16(%rsp,%r9,4)", &spec), 1);
	assert_int_equal(first->base, 19);
	assert_int_equal(first->index, 8);
	assert_int_equal(first->scale, 4);
	assert_int_equal(usdt_parse_arguments("8@(%rax,%rcx)", &spec), 1);
	assert_int_equal(first->scale, 1);
	assert_int_equal(usdt_parse_arguments("8@$0xffffffffffffffff", &spec), 1);
	assert_int_equal(first->value, -1);
	assert_int_equal(usdt_parse_arguments("1@%al 1@%al 1@%al 1@%al 1@%bl", &spec), 5);
}

static void arguments_that_no_register_leads_to_come_from_nowhere(void **state)
{
	static const char *const texts[] = {
		"8f@%xmm0",	"8@%xmm1",
		"8@name(%rip)", "8@%rip",
		"8@$name",	"8@(%rax",
		"8@(%rax,%ah)", "8@8(%rax,%rcx,3)",
		"8@(%rax)x",	"8@%raxx",
		"8@4(,%rcx)",	"8@",
		"4@-",		"8@$99999999999999999999",
		"8@%",
	};
	struct usdt_spec spec;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(usdt_parse_arguments(texts[i], &spec), 1);
		assert_int_equal(spec.arguments[0].from, USDT_FROM_NOWHERE);
	}
	assert_int_equal(usdt_parse_arguments("3@%rax", &spec), -EBADMSG);
	assert_int_equal(usdt_parse_arguments("@%rax", &spec), -EBADMSG);
	assert_int_equal(usdt_parse_arguments("x@%rax", &spec), -EBADMSG);
	assert_int_equal(usdt_parse_arguments("8@%rax 16@%rax", &spec), -EBADMSG);
}

static int check_sane(const struct usdt_probe *probe, void *arg)
{
	++*(size_t *)arg;
	assert_in_range(strlen(probe->provider), 0, USDT_NAME_BYTES - 1);
	assert_in_range(strlen(probe->name), 0, USDT_NAME_BYTES - 1);
	for (size_t i = 0; i < USDT_MAX_ARGUMENTS; i++) {
		assert_in_range(probe->spec.arguments[i].base, 0, 19);
		assert_in_range(probe->spec.arguments[i].index, 0, 19);
		assert_in_range(probe->spec.arguments[i].from, 0, USDT_FROM_MEMORY);
	}
	return 0;
}

/* Where the notes lie in the file. */
static void find_notes(const unsigned char *bytes, size_t *from, size_t *to)
{
	const Elf64_Ehdr *header = (const void *)bytes;
	const Elf64_Shdr *sections = (const void *)(bytes + header->e_shoff);
	const char *names = (const char *)bytes + sections[header->e_shstrndx].sh_offset;

	for (size_t i = 0; i < header->e_shnum; i++) {
		if (strcmp(names + sections[i].sh_name, ".note.stapsdt") != 0)
			continue;
		*from = sections[i].sh_offset;
		*to = *from + sections[i].sh_size;
		return;
	}
	fail_msg("libstdc++ has no notes");
}

static void no_damage_to_the_notes_leads_astray(void **state)
{
	int from_fd = open(files[0], O_RDONLY | O_CLOEXEC),
	    fd = memfd_create("damaged", MFD_CLOEXEC);
	size_t visits = 0;
	unsigned int seed = 20260101;
	size_t from = 0, to = 0, refused = 0;
	unsigned char *bytes;
	struct stat st;

	(void)state;
	assert_int_equal(fstat(from_fd, &st), 0);
	bytes = malloc((size_t)st.st_size);
	assert_non_null(bytes);
	assert_int_equal(read(from_fd, bytes, (size_t)st.st_size), st.st_size);
	find_notes(bytes, &from, &to);
	assert_int_equal(write(fd, bytes, (size_t)st.st_size), st.st_size);
	for (int round = 0; round < 3000; round++) {
		unsigned char damaged[8192];
		struct object *object;
		int err;

		assert_in_range(to - from, 1, sizeof(damaged));
		memcpy(damaged, bytes + from, to - from);
		for (int i = rand_r(&seed) % 4; i >= 0; i--)
			damaged[(size_t)rand_r(&seed) % (to - from)] = (unsigned char)rand_r(&seed);
		assert_int_equal(pwrite(fd, damaged, to - from, (off_t)from), to - from);
		assert_int_equal(object_open(dup(fd), "damaged", &object), 0);
		err = usdt_each(object, NULL, check_sane, &visits);
		assert_true(err == 0 || err == -EBADMSG);
		refused += err != 0;
		object_free(object);
	}
	/* The damage is seen, and does not always lie in front of all probes. */
	assert_in_range(refused, 1, 2999);
	assert_in_range(visits, 1000, SIZE_MAX);
	free(bytes);
	close(fd);
	close(from_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_probe_of_real_files_is_as_readelf_shows_it),
		cmocka_unit_test(a_provider_is_chosen_and_the_visitor_ends_it),
		cmocka_unit_test(arguments_take_every_form),
		cmocka_unit_test(arguments_that_no_register_leads_to_come_from_nowhere),
		cmocka_unit_test(no_damage_to_the_notes_leads_astray),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
