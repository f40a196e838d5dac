// SPDX-License-Identifier: Apache-2.0
#include "object/usdt.h"
#include "object/elfsection.h"
#include "object/object.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define USDT_MAX_NOTES_BYTES (16U << 20)
#define USDT_NOTE_TYPE 3U
#define USDT_OWNER "stapsdt"
#define USDT_MAX_TOKEN_BYTES 64U

/* By the order of struct pt_regs, asm/ptrace.h; the names of 8, 4, 2 and 1 bytes. */
static const struct {
	uint8_t place;
	char names[4][6];
} registers[] = {
	{ 0, { "r15", "r15d", "r15w", "r15b" } }, { 1, { "r14", "r14d", "r14w", "r14b" } },
	{ 2, { "r13", "r13d", "r13w", "r13b" } }, { 3, { "r12", "r12d", "r12w", "r12b" } },
	{ 4, { "rbp", "ebp", "bp", "bpl" } },	  { 5, { "rbx", "ebx", "bx", "bl" } },
	{ 6, { "r11", "r11d", "r11w", "r11b" } }, { 7, { "r10", "r10d", "r10w", "r10b" } },
	{ 8, { "r9", "r9d", "r9w", "r9b" } },	  { 9, { "r8", "r8d", "r8w", "r8b" } },
	{ 10, { "rax", "eax", "ax", "al" } },	  { 11, { "rcx", "ecx", "cx", "cl" } },
	{ 12, { "rdx", "edx", "dx", "dl" } },	  { 13, { "rsi", "esi", "si", "sil" } },
	{ 14, { "rdi", "edi", "di", "dil" } },	  { 19, { "rsp", "esp", "sp", "spl" } },
};

static const struct {
	uint8_t place;
	char name[3];
} high_bytes[] = { { 10, "ah" }, { 5, "bh" }, { 11, "ch" }, { 12, "dh" } };

/* The register that text begins with, "%" included. Returns the name's length, 0 if it is none. */
static size_t parse_register(const char *text, uint8_t *place, uint8_t *shift)
{
	size_t len = strcspn(text, " \t,()");

	*shift = 0;
	if (len < 3 || text[0] != '%')
		return 0;
	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		for (size_t width = 0; width < 4; width++) {
			const char *name = registers[i].names[width];

			*place = registers[i].place;
			if (strlen(name) == len - 1 && memcmp(name, text + 1, len - 1) == 0)
				return len;
		}
	}
	for (size_t i = 0; i < sizeof(high_bytes) / sizeof(high_bytes[0]); i++) {
		*place = high_bytes[i].place;
		*shift = 8;
		if (len == 3 && memcmp(high_bytes[i].name, text + 1, 2) == 0)
			return len;
	}
	return 0;
}

/* A number without blanks before it. Returns its length, 0 if there is none. */
static size_t parse_number(const char *text, __s64 *number)
{
	bool is_negative = text[0] == '-';
	const char *digits = text + is_negative;
	char *end;

	if (*digits < '0' || *digits > '9')
		return 0;
	errno = 0;
	/* As unsigned: constants of 64 bits are written either way. */
	*number = (__s64)strtoull(text, &end, 0);
	return errno ? 0 : (size_t)(end - text);
}

/* disp(%base,%index,scale), of which disp and what follows base may lack. */
static bool parse_memory(const char *text, struct usdt_argument *out)
{
	uint8_t shift;
	__s64 scale = 1;
	size_t len;

	out->from = USDT_FROM_MEMORY;
	text += parse_number(text, &out->value);
	if (*text++ != '(')
		return false;
	len = parse_register(text, &out->base, &shift);
	text += len;
	if (len == 0 || shift != 0)
		return false;
	if (*text == ',') {
		len = parse_register(++text, &out->index, &shift);
		text += len;
		if (len == 0 || shift != 0)
			return false;
		if (*text == ',')
			text += 1 + parse_number(text + 1, &scale);
		if (scale != 1 && scale != 2 && scale != 4 && scale != 8)
			return false;
		out->scale = (uint8_t)scale;
	}
	return strcmp(text, ")") == 0;
}

static bool parse_operand(const char *text, struct usdt_argument *out)
{
	size_t len;

	switch (text[0]) {
	case '$':
		out->from = USDT_FROM_CONSTANT;
		len = parse_number(text + 1, &out->value);
		return len > 0 && text[1 + len] == '\0';
	case '%':
		out->from = USDT_FROM_REGISTER;
		len = parse_register(text, &out->base, &out->shift);
		return len > 0 && text[len] == '\0';
	default:
		return parse_memory(text, out);
	}
}

/* One argument: the size in bytes, negative if it is signed, and "@" may lack. */
static int parse_argument(const char *token, struct usdt_argument *out)
{
	const char *at = strchr(token, '@');
	struct usdt_argument argument = { .bytes = 8 };
	__s64 bytes;

	if (at) {
		size_t len = parse_number(token, &bytes);

		if (len == 0)
			return -EBADMSG;
		argument.is_signed = bytes < 0;
		bytes = bytes < 0 ? -bytes : bytes;
		if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8)
			return -EBADMSG;
		argument.bytes = (uint8_t)bytes;
		token = token[len] == '@' ? at + 1 : ""; /* 8f@: a floating-point number */
	}
	if (!parse_operand(token, &argument))
		argument = (struct usdt_argument){ .from = USDT_FROM_NOWHERE };
	*out = argument;
	return 0;
}

int usdt_parse_arguments(const char *text, struct usdt_spec *out)
{
	int count = 0;

	*out = (struct usdt_spec){ 0 };
	for (text += strspn(text, " \t"); *text != '\0'; text += strspn(text, " \t")) {
		size_t len = strcspn(text, " \t");
		struct usdt_argument argument;
		char token[USDT_MAX_TOKEN_BYTES];

		if (len >= sizeof(token) || count == INT16_MAX)
			return -EBADMSG;
		memcpy(token, text, len);
		token[len] = '\0';
		if (parse_argument(token, &argument))
			return -EBADMSG;
		if (count < USDT_MAX_ARGUMENTS)
			out->arguments[count] = argument;
		count++;
		text += len;
	}
	return count;
}

/* A file's notes, in memory. */
struct notes {
	const struct object *object;
	char *bytes;
	size_t len;
	bool has_base;
	uint64_t base; /* where .stapsdt.base lies: a prelinked file has been moved since */
};

static int load_notes(const struct object *object, struct notes *out)
{
	struct elfsection_table sections;
	const Elf64_Shdr *section, *base;
	struct elffile file;
	uint64_t len;
	int err;

	*out = (struct notes){ .object = object };
	err = elffile_init(object_fd(object), &file);
	err = err ?: elfsection_load(&file, &sections);
	if (err)
		return err;
	section = elfsection_find(&sections, ".note.stapsdt");
	base = elfsection_find(&sections, ".stapsdt.base");
	if (!section) {
		err = -ENOENT;
		goto out;
	}
	err = elfsection_measure(&file, section, &len);
	if (!err && len > USDT_MAX_NOTES_BYTES)
		err = -EBADMSG;
	if (err)
		goto out;
	out->bytes = malloc(len + 1);
	err = out->bytes ? elfsection_read(&file, section, out->bytes, len) : -ENOMEM;
	out->len = len;
	out->has_base = base != NULL;
	out->base = base ? base->sh_addr : 0;
out:
	if (err) {
		free(out->bytes);
		out->bytes = NULL;
	}
	elfsection_fini(&sections);
	return err;
}

/* The string at *at, which ends before end; *at moves behind it. NULL if there is no end. */
static const char *take_string(const char *bytes, size_t *at, size_t end)
{
	const char *text = bytes + *at, *nul = memchr(text, '\0', end - *at);

	if (!nul)
		return NULL;
	*at += (size_t)(nul - text) + 1;
	return text;
}

static bool is_writable(const struct object *object, uint64_t vaddr)
{
	const struct object_segment *segments;
	size_t count = object_segments(object, &segments);

	for (size_t i = 0; i < count; i++) {
		if (vaddr >= segments[i].vaddr &&
		    vaddr - segments[i].vaddr < segments[i].file_bytes)
			return (segments[i].flags & PF_W) != 0;
	}
	return false;
}

/* Where the probe and its semaphore lie in the file. Returns whether they do. */
static bool place_probe(const struct notes *notes, const uint64_t words[3],
			struct usdt_probe *probe)
{
	uint64_t moved = notes->has_base ? notes->base - words[1] : 0;
	uint64_t location = words[0] + moved, semaphore = words[2] + moved;

	if (!object_is_code(notes->object, location) ||
	    object_vaddr_to_offset(notes->object, location, &probe->offset))
		return false;
	if (words[2] == 0)
		return true;
	return is_writable(notes->object, semaphore) &&
	       object_vaddr_to_offset(notes->object, semaphore, &probe->semaphore_offset) == 0;
}

/* Reads the note whose contents lie in [at, end). Returns 1 for a probe, 0 to pass over, or
 * -EBADMSG. */
static int read_probe(const struct notes *notes, size_t at, size_t end, struct usdt_probe *probe)
{
	const char *provider, *name, *arguments;
	uint64_t words[3]; /* the location, the base, the semaphore */
	int count;

	*probe = (struct usdt_probe){ 0 };
	if (end - at < sizeof(words))
		return -EBADMSG;
	memcpy(words, notes->bytes + at, sizeof(words));
	at += sizeof(words);
	provider = take_string(notes->bytes, &at, end);
	name = provider ? take_string(notes->bytes, &at, end) : NULL;
	arguments = name ? take_string(notes->bytes, &at, end) : NULL;
	if (!arguments)
		return -EBADMSG;
	if (strlen(provider) >= USDT_NAME_BYTES || strlen(name) >= USDT_NAME_BYTES)
		return 0;
	strcpy(probe->provider, provider);
	strcpy(probe->name, name);
	count = usdt_parse_arguments(arguments, &probe->spec);
	if (count < 0 || !place_probe(notes, words, probe))
		return 0;
	probe->argument_count = (uint32_t)count;
	return 1;
}

static int each_note(const struct notes *notes, const char *provider,
		     int (*visit)(const struct usdt_probe *probe, void *arg), void *arg)
{
	size_t at = 0;

	while (notes->len - at >= sizeof(Elf64_Nhdr)) {
		struct usdt_probe probe;
		Elf64_Nhdr note;
		size_t owner, contents, end;
		int got;

		memcpy(&note, notes->bytes + at, sizeof(note));
		owner = at + sizeof(note);
		/* Sizes are 32 bits wide, so that these sums cannot overflow. */
		contents = owner + ((note.n_namesz + 3ULL) & ~3ULL);
		end = contents + note.n_descsz;
		if (end > notes->len)
			return -EBADMSG;
		at = (end + 3) & ~(size_t)3;
		if (at > notes->len)
			at = notes->len;
		if (note.n_type != USDT_NOTE_TYPE || note.n_namesz != sizeof(USDT_OWNER) ||
		    memcmp(notes->bytes + owner, USDT_OWNER, sizeof(USDT_OWNER)) != 0)
			continue;
		got = read_probe(notes, contents, end, &probe);
		if (got > 0 && (!provider || strcmp(provider, probe.provider) == 0))
			got = visit(&probe, arg);
		else if (got > 0)
			got = 0;
		if (got != 0)
			return got;
	}
	return 0;
}

int usdt_each(const struct object *object, const char *provider,
	      int (*visit)(const struct usdt_probe *probe, void *arg), void *arg)
{
	struct notes notes;
	int err = load_notes(object, &notes);

	if (err)
		return err;
	err = each_note(&notes, provider, visit, arg);
	free(notes.bytes);
	return err;
}
