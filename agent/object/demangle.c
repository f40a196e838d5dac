// SPDX-License-Identifier: Apache-2.0
#include "object/demangle.h"

#include "base/buf.h"

#include <ctype.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DEMANGLE_MAX_MANGLED_BYTES 4096U
#define DEMANGLE_MAX_BYTES (64U << 10)
#define DEMANGLE_MAX_PACK_SUBSTITUTIONS 20U
#define DEMANGLE_MAX_BINDER_DIGITS 3U

/* Where a demangler's text goes, and the way out of it. */
struct sink {
	struct buf text;
	jmp_buf full;
};

/*
 * Substitutions double the text with every few bytes of a hostile name, to gigabytes and minutes.
 * The demanglers cannot be told to stop, but own no memory while they print (Rust's punycode apart,
 * 16 KiB at most): so jump out of them.
 */
static void take_text(const char *text, size_t len, void *arg)
{
	struct sink *sink = arg;

	buf_add(&sink->text, text, len);
	if (buf_error(&sink->text))
		longjmp(sink->full, 1);
}

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c);
}

/*
 * Where a name expands a parameter pack (Dp; sZ, sP; the folds fl, fr, fL, fR), libiberty looks for
 * the pack along every path through the substitutions (S_, S0_ and on) without printing anything:
 * the work doubles with each of them. One real name in a thousand has so many.
 */
static bool has_costly_pack(const char *name)
{
	unsigned int substitutions = 0;
	bool has_pack = false;

	for (const char *at = name; *at != '\0'; at++) {
		has_pack |= (at[0] == 'D' && at[1] == 'p') ||
			    (at[0] == 's' && is_one_of(at[1], "ZP")) ||
			    (at[0] == 'f' && is_one_of(at[1], "lrLR"));
		substitutions +=
			at[0] == 'S' && is_one_of(at[1], "_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	}
	return has_pack && substitutions > DEMANGLE_MAX_PACK_SUBSTITUTIONS;
}

/*
 * A binder in Rust v0 is G, a number in base 62 and _. libiberty counts up to the number, also
 * where it prints nothing: with eleven digits for ever. Nobody writes 62^3 lifetimes.
 */
static bool has_costly_binder(const char *name)
{
	if (strncmp(name, "_R", 2) != 0)
		return false;
	while ((name = strchr(name, 'G'))) {
		size_t digits = 0;

		name++;
		while (isalnum((unsigned char)name[digits]))
			digits++;
		if (digits > DEMANGLE_MAX_BINDER_DIGITS && name[digits] == '_')
			return true;
	}
	return false;
}

/* Rust comes first, since its legacy names are valid C++ ones. */
static bool demangle_into(struct sink *sink, const char *name)
{
	if (has_costly_binder(name) || setjmp(sink->full) != 0)
		return false;
	if (rust_demangle_callback(name, DMGL_NO_OPTS, take_text, sink))
		return true;
	buf_clear(&sink->text); /* what was printed before the name proved bad */
	if (has_costly_pack(name))
		return false;
	return cplus_demangle_v3_callback(name, DMGL_NO_OPTS, take_text, sink);
}

char *demangle_name(const char *name)
{
	struct sink sink;

	if (strnlen(name, DEMANGLE_MAX_MANGLED_BYTES + 1) > DEMANGLE_MAX_MANGLED_BYTES)
		return strdup(name);
	buf_init(&sink.text, DEMANGLE_MAX_BYTES);
	if (demangle_into(&sink, name) && sink.text.len > 0)
		return sink.text.data;
	buf_fini(&sink.text);
	return strdup(name);
}
