// SPDX-License-Identifier: Apache-2.0
#include "object/sourcepath.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int sourcepath_parse(const char *text, struct sourcepath_rule *out)
{
	const char *equals = strchr(text, '=');

	if (!equals || equals == text)
		return -EINVAL;
	*out = (struct sourcepath_rule){
		.from = text,
		.to = equals + 1,
		.from_len = (size_t)(equals - text),
	};
	return 0;
}

static bool matches(const struct sourcepath_rule *rule, const char *path)
{
	char next;

	if (strncmp(path, rule->from, rule->from_len) != 0)
		return false;
	next = path[rule->from_len];
	return next == '\0' || next == '/' || rule->from[rule->from_len - 1] == '/';
}

char *sourcepath_rewrite(const struct sourcepath_rule *rules, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++) {
		size_t to_len = strlen(rules[i].to);
		const char *rest;
		char *out;

		if (!matches(&rules[i], path))
			continue;
		rest = path + rules[i].from_len;
		out = malloc(to_len + strlen(rest) + 1);
		if (!out)
			return NULL;
		memcpy(out, rules[i].to, to_len);
		strcpy(out + to_len, rest);
		return out;
	}
	return strdup(path);
}
