/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demangle: readable names of C++ (Itanium), Rust legacy and Rust v0 symbols.
 */
#ifndef PPROFD_OBJECT_DEMANGLE_H
#define PPROFD_OBJECT_DEMANGLE_H

/*
 * Returns the demangled name without parameters (`ns::Class::method`), as pprof shows names, or a
 * copy of the name where it is not a mangled one, is over 4 KiB long (C++: 1 KiB, since libiberty
 * takes stack by the square of the length), or would become longer than 64 KiB. The caller frees
 * it; NULL only when memory is out. Any thread.
 */
char *demangle_name(const char *name);

#endif
