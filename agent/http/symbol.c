// SPDX-License-Identifier: Apache-2.0
#include "http/symbol.h"

#include "http/answer.h"
#include "object/demangle.h"
#include "object/object.h"
#include "object/symtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The address that a word writes as Go's ParseUint with base 0 reads it; 0 where it is none. */
static uint64_t parse_address(const char *word, size_t len)
{
	char digits[32];
	uint64_t address;
	char *end;

	if (len == 0 || len >= sizeof(digits) || word[0] < '0' || word[0] > '9')
		return 0;
	memcpy(digits, word, len);
	digits[len] = '\0';
	errno = 0;
	address = strtoull(digits, &end, 0);
	return errno || *end != '\0' ? 0 : address;
}

static int find_symbol(const struct snapshot *target, uint64_t address, struct symbol *out)
{
	for (uint32_t i = 0; i < target->mapping_count; i++) {
		const struct snapshot_mapping *mapping = &target->mappings[i];
		const struct symtab *symbols;
		uint64_t vaddr;
		int err;

		if (address < mapping->start || address >= mapping->limit || !mapping->object)
			continue;
		err = object_offset_to_vaddr(mapping->object,
					     address - mapping->start + mapping->offset, &vaddr);
		if (!err)
			err = object_symtab(mapping->object, &symbols);
		return err ? err : symtab_find(symbols, vaddr, out);
	}
	return -ENOENT;
}

static void write_address(const struct snapshot *target, uint64_t address, struct buf *out)
{
	struct symbol symbol;
	char *name;

	if (address == 0 || find_symbol(target, address, &symbol))
		return;
	name = demangle_name(symbol.name);
	buf_printf(out, "%#llx ", (unsigned long long)address);
	answer_add_outside(out, name ? name : symbol.name);
	buf_add_str(out, "\n");
	free(name);
}

void symbol_write(const struct snapshot *target, const char *text, size_t len, struct buf *out)
{
	/* pprof asks only whether it is 0; how many there are is not known beforehand. */
	buf_add_str(out, "num_symbols: 1\n");
	while (len > 0) {
		const char *plus = memchr(text, '+', len);
		size_t word_len = plus ? (size_t)(plus - text) : len;

		write_address(target, parse_address(text, word_len), out);
		word_len += plus ? 1 : 0;
		text += word_len;
		len -= word_len;
	}
}
