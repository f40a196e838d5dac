/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fallback: functions that the process does not have, made of those that it has. A C program has no
 * operator new, but the library's own then serves what a plugin in C++ brings later; and programs
 * look for functions of newer C libraries by their names.
 */
#ifndef PPROFD_SAMPLER_FALLBACK_H
#define PPROFD_SAMPLER_FALLBACK_H

/* Puts a function into each of the SAMPLER_FUNCTIONS places that is NULL. */
void fallback_fill(void **functions);

#endif
