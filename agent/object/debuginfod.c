// SPDX-License-Identifier: Apache-2.0
#include "object/debuginfod.h"

#include "base/log.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

/* Of libdebuginfod's interface, which is stable, what is used here. */
struct library {
	void *(*begin)(void);
	/* A build id of length 0 is hexadecimal text. */
	int (*find_debuginfo)(void *client, const unsigned char *build_id, int len, char **path);
	void (*end)(void *client);
};

static int load(struct library *out)
{
	/* Never unloaded: it starts what does not bear that. */
	void *handle = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!handle)
		return -ENOTSUP;
	out->begin = (void *(*)(void))dlsym(handle, "debuginfod_begin");
	out->find_debuginfo = (int (*)(void *, const unsigned char *, int, char **))dlsym(
		handle, "debuginfod_find_debuginfo");
	out->end = (void (*)(void *))dlsym(handle, "debuginfod_end");
	dlclose(handle);
	return out->begin && out->find_debuginfo && out->end ? 0 : -ENOTSUP;
}

int debuginfod_fetch(const char *build_id, int *fd)
{
	struct library library;
	void *client;
	int found;

	if (load(&library)) {
		log_warn("debuginfod: libdebuginfod.so.1 is not installed");
		return -ENOTSUP;
	}
	client = library.begin();
	if (!client)
		return -ENOMEM;
	found = library.find_debuginfo(client, (const unsigned char *)build_id, 0, NULL);
	library.end(client);
	if (found < 0)
		return found == -ENOSYS ? -ENOENT : found;
	*fd = found;
	return 0;
}
