/* SPDX-License-Identifier: Apache-2.0 */
/*
 * goname: which frames Go's own text forms leave out, by the function's name.
 *
 * Rules: printStackRecord of Go's src/runtime/pprof/pprof.go, showfuncinfo of
 * src/runtime/traceback.go. Pure functions; names of other languages are never left out.
 */
#ifndef PPROFD_PROFILE_GONAME_H
#define PPROFD_PROFILE_GONAME_H

#include <stdbool.h>
#include <stddef.h>

/* The runtime's own: left out at the beginning of a stack, unless there is nothing else. */
bool goname_is_runtime(const char *name);

/* What every goroutine begins with. */
bool goname_is_goexit(const char *name);

/* Whether it is a file of Go code. */
bool goname_is_source(const char *path);

/*
 * Where the type arguments of a Go function's name lie, which text shows as "...": [*open, *close)
 * between the brackets. False: there are none.
 */
bool goname_find_arguments(const char *name, size_t *open, size_t *close);

/* Left out of a goroutine's trace; is_first: it is the innermost frame. */
bool goname_is_hidden(const char *name, bool is_first);

#endif
