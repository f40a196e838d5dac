/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8: which bytes of a text are well-formed UTF-8.
 */
#ifndef PPROFD_PROFILE_UTF8_H
#define PPROFD_PROFILE_UTF8_H

#include <stddef.h>

/*
 * How many bytes the well-formed character (Unicode 15, table 3-7) at the beginning of the len
 * bytes at text takes, 1 to 4; 0 where there is none. Any thread.
 */
size_t utf8_measure(const char *text, size_t len);

#endif
