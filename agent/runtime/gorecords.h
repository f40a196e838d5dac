/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gorecords: the records of a Go process; golang_each_record() of golang.h.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_RUNTIME_GORECORDS_H
#define PPROFD_RUNTIME_GORECORDS_H

struct goglobals;
struct golang;
struct gorecords;

/* What golang->records holds: all that is kept from one call to the next. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int gorecords_new(struct golang *golang,
						      struct gorecords **out);
void gorecords_free(struct gorecords *records);

/* The runtime's variables, looked up on the first call. Borrowed from the golang. Returns 0 or what
 * goglobals_find() does. */
__attribute__((warn_unused_result)) int gorecords_globals(struct golang *golang,
							  const struct goglobals **out);

#endif
