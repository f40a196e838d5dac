// SPDX-License-Identifier: Apache-2.0
/*
 * late-runtime LIBRARY PROGRAM: opens a libpython at the first line of stdin, and lets it run the
 * program at the second.
 */
#include "target.h"

#include <dlfcn.h>

int main(int argc, char **argv)
{
	void (*initialize)(int handles_signals);
	int (*run)(const char *program);
	void *library;

	if (argc < 3)
		return 2;
	target_say("ready");
	target_wait_line();
	library = target_must(dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL));
	initialize = (void (*)(int))target_must(dlsym(library, "Py_InitializeEx"));
	run = (int (*)(const char *))target_must(dlsym(library, "PyRun_SimpleString"));
	initialize(0);
	target_say("open");
	target_wait_line();
	return run(argv[2]) == 0 ? 0 : 1;
}
