/* SPDX-License-Identifier: Apache-2.0 */
/*
 * goroutines: the goroutines of a Go process; golang_each_goroutine() of golang.h.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_RUNTIME_GOROUTINES_H
#define PPROFD_RUNTIME_GOROUTINES_H

struct goroutines;

/* What golang->goroutines holds: all that is kept from one call to the next. */
void goroutines_free(struct goroutines *goroutines);

#endif
