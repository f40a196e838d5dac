/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skip: a test that cannot run here says why, which tests/run-unit prints with its name.
 *
 * After cmocka.h.
 */
#ifndef PPROFD_TESTS_SKIP_H
#define PPROFD_TESTS_SKIP_H

static inline void skip_because(const char *reason)
{
	print_message("[  REASON  ] %s\n", reason);
	skip();
}

#endif
