/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sourcepath: other beginnings for the paths of source files, as --path-map FROM=TO asks for them.
 *
 * Pure functions of their input.
 */
#ifndef PPROFD_OBJECT_SOURCEPATH_H
#define PPROFD_OBJECT_SOURCEPATH_H

#include <stddef.h>

struct sourcepath_rule {
	const char *from, *to; /* from is followed by '=', not by a NUL: it is from_len long */
	size_t from_len;
};

/*
 * Reads "FROM=TO", split at the first '='; TO may be empty. The rule borrows text. Returns 0, or
 * -EINVAL if there is no '=' or nothing before it.
 */
__attribute__((warn_unused_result)) int sourcepath_parse(const char *text,
							 struct sourcepath_rule *out);

/*
 * Puts TO in the place of FROM by the first rule whose FROM the path begins with: as whole
 * components, so that /src matches /src/a.c and not /srcs/a.c. Returns a copy of the path where no
 * rule matches. The caller frees it; NULL only when memory is out.
 */
char *sourcepath_rewrite(const struct sourcepath_rule *rules, size_t count, const char *path);

#endif
