// SPDX-License-Identifier: Apache-2.0
/*
 * early: allocates before main, and at once in main, without waiting for anybody. A profile from
 * the first instruction on shows both.
 */
#include "target.h"

#define CALLS 50U

static void **kept; /* chain of the blocks that stay */

static void keep(void **block)
{
	*block = kept;
	kept = block;
}

__attribute__((constructor)) static void site_before_main(void)
{
	for (unsigned i = 0; i < CALLS; i++)
		keep(target_must(malloc(1000)));
}

static void site_in_main(void)
{
	for (unsigned i = 0; i < CALLS; i++)
		keep(target_must(malloc(2000)));
}

int main(void)
{
	site_in_main();
	target_say("ready");
	target_say("{\"site_before_main\": {\"alloc_objects\": 50, \"alloc_space\": 50000, "
		   "\"inuse_objects\": 50, \"inuse_space\": 50000}, "
		   "\"site_in_main\": {\"alloc_objects\": 50, \"alloc_space\": 100000, "
		   "\"inuse_objects\": 50, \"inuse_space\": 100000}}");
	target_wait_end();
	return 0;
}
