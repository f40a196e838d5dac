/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fallback: functions that the process does not have, made of those that it has. A C program has no
 * operator new, but the library's own then serves what a plugin in C++ brings later; and programs
 * look for functions of newer C libraries by their names.
 */
#ifndef PPROFD_SAMPLER_FALLBACK_H
#define PPROFD_SAMPLER_FALLBACK_H

struct next_function;

/* Gives each of the SAMPLER_FUNCTIONS places an address that has none. */
void fallback_fill(struct next_function *functions);

#endif
