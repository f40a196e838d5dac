// SPDX-License-Identifier: Apache-2.0
/*
 * shares: allocates 16 GB over six sites of known shares, as fast as it can, after a line on stdin;
 * then prints what each allocated and kept. Kept blocks are never written to beyond their first
 * word, so that they cost address space and little memory.
 */
#include "target.h"

#include <inttypes.h>

#define TOTAL_BYTES 16000000000U
#define ROUNDS 1000U

struct site {
	const char *name;
	void **(*take)(size_t bytes);
	unsigned percent;
	size_t block_bytes;
	unsigned kept, of; /* so many blocks of so many stay */
	uint64_t objects, kept_objects;
};

static void **site_forty(size_t bytes)
{
	return target_must(malloc(bytes));
}

static void **site_twenty_five(size_t bytes)
{
	return target_must(malloc(bytes));
}

static void **site_fifteen(size_t bytes)
{
	return target_must(malloc(bytes));
}

static void **site_ten(size_t bytes)
{
	return target_must(malloc(bytes));
}

static void **site_eight(size_t bytes)
{
	return target_must(malloc(bytes));
}

static void **site_two(size_t bytes)
{
	return target_must(malloc(bytes));
}

static struct site sites[] = {
	{ "site_forty", site_forty, 40, 100000, 1, 4, 0, 0 },
	{ "site_twenty_five", site_twenty_five, 25, 4000, 0, 1, 0, 0 },
	{ "site_fifteen", site_fifteen, 15, 1000, 0, 1, 0, 0 },
	{ "site_ten", site_ten, 10, 32000, 3, 4, 0, 0 },
	{ "site_eight", site_eight, 8, 500, 0, 1, 0, 0 },
	{ "site_two", site_two, 2, 400, 1, 4, 0, 0 },
};

#define SITE_COUNT (sizeof(sites) / sizeof(*sites))

static void **kept; /* chain of the blocks that stay */

static void run_site(struct site *site)
{
	uint64_t calls = TOTAL_BYTES / 100U * site->percent / site->block_bytes / ROUNDS;

	for (uint64_t i = 0; i < calls; i++) {
		void **block = site->take(site->block_bytes);

		if (site->objects++ % site->of >= site->kept) {
			free(block);
			continue;
		}
		*block = kept;
		kept = block;
		site->kept_objects++;
	}
}

int main(void)
{
	target_say("ready");
	target_wait_line();
	for (unsigned round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < SITE_COUNT; i++)
			run_site(&sites[i]);
	for (size_t i = 0; i < SITE_COUNT; i++)
		printf("%s\"%s\": {\"alloc_objects\": %" PRIu64 ", \"alloc_space\": %" PRIu64
		       ", \"inuse_objects\": %" PRIu64 ", \"inuse_space\": %" PRIu64 "}",
		       i ? ", " : "{", sites[i].name, sites[i].objects,
		       sites[i].objects * sites[i].block_bytes, sites[i].kept_objects,
		       sites[i].kept_objects * sites[i].block_bytes);
	target_say("}");
	target_wait_end();
	return 0;
}
