// SPDX-License-Identifier: Apache-2.0
/*
 * hoarder N: allocates N blocks of one byte, which it keeps, and is ready then.
 */
#include "target.h"

static void *volatile last;

static void hoard(void)
{
	last = target_must(malloc(1));
}

int main(int argc, char **argv)
{
	uint64_t count = target_number(argc, argv, 1, 1000);

	for (uint64_t i = 0; i < count; i++)
		hoard();
	target_say("ready");
	target_wait_end();
	return 0;
}
