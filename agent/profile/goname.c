// SPDX-License-Identifier: Apache-2.0
#include "profile/goname.h"

#include <string.h>

static bool begins_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool goname_is_runtime(const char *name)
{
	return begins_with(name, "runtime.") || begins_with(name, "internal/runtime/");
}

bool goname_is_goexit(const char *name)
{
	return strcmp(name, "runtime.goexit") == 0;
}

bool goname_is_source(const char *path)
{
	size_t len = strlen(path);

	return len > 3 && strcmp(path + len - 3, ".go") == 0;
}

bool goname_find_arguments(const char *name, size_t *open, size_t *close)
{
	const char *first = strchr(name, '['), *last = strrchr(name, ']');

	if (!first || !last || last < first)
		return false;
	*open = (size_t)(first - name) + 1;
	*close = (size_t)(last - name);
	return true;
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* "runtime.GC", "runtime.(*Func).Entry": of a method the type must be exported, too. */
static bool is_exported(const char *name)
{
	const char *last = strrchr(name, '.');

	name += strlen("runtime.");
	if (last < name)
		return is_upper(name[0]);
	if (name[0] == '(' && name[1] == '*')
		name += 2;
	return is_upper(name[0]) && is_upper(last[1]);
}

bool goname_is_hidden(const char *name, bool is_first)
{
	if (!begins_with(name, "runtime."))
		return false;
	if (strcmp(name, "runtime.gopanic") == 0)
		return is_first;
	/* What says that a goroutine runs finalizers or cleanups. */
	if (strcmp(name, "runtime.runFinalizers") == 0 || strcmp(name, "runtime.runCleanups") == 0)
		return false;
	return !is_exported(name);
}
