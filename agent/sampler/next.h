/* SPDX-License-Identifier: Apache-2.0 */
/*
 * next: where a function would be found if this library were not there.
 *
 * Not by dlsym(): that allocates in some C libraries, and the version of its symbol would keep the
 * library from loading beside an older one.
 */
#ifndef PPROFD_SAMPLER_NEXT_H
#define PPROFD_SAMPLER_NEXT_H

#include <stddef.h>

/*
 * Gives each of count names the address of its function: in the first object behind this library
 * in load order that defines it, else in the first of all other objects, else NULL. Does not
 * allocate. Any thread that may take the dynamic linker's lock.
 */
void next_find(const char *const *names, size_t count, void **out);

#endif
