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
#include <stdint.h>

struct next_function {
	void *address; /* NULL: none */
	uintptr_t object; /* where the object that defines it is loaded: tells objects apart */
};

/*
 * Finds the function of each of count names: in the first object behind this library in load order
 * that defines it, else in the first of all other objects. Does not allocate. Any thread that may
 * take the dynamic linker's lock.
 */
void next_find(const char *const *names, size_t count, struct next_function *out);

#endif
