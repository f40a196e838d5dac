// SPDX-License-Identifier: Apache-2.0
/*
 * exec-chain: allocates in one image and, after a line, execs itself under another name; the second
 * image allocates elsewhere after one more line. Says ready, execed, done.
 */
#include "target.h"

#include <string.h>

static void **kept; /* chain of the blocks that stay */

static void keep(void **block)
{
	*block = kept;
	kept = block;
}

static void before_exec_site(void)
{
	keep(target_must(malloc(10000)));
}

static void after_exec_site(void)
{
	keep(target_must(malloc(5000)));
}

int main(int argc, char **argv)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		return 1;
	self[len] = '\0';
	if (argc > 1 && strcmp(argv[1], "second") == 0) {
		target_say("execed");
		target_wait_line();
		for (unsigned i = 0; i < 2000; i++)
			after_exec_site();
		target_say("done");
		target_wait_end();
		return 0;
	}
	target_say("ready");
	target_wait_line();
	for (unsigned i = 0; i < 1000; i++)
		before_exec_site();
	target_say("allocated");
	target_wait_line();
	execl(self, "exec-chain-second", "second", (char *)NULL);
	return 1;
}
