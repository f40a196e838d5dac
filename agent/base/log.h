/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: one line a fact on standard error, as logfmt or JSON.
 *
 * Configured once in main() before any thread starts; afterwards any thread may log.
 */
#ifndef PPROFD_BASE_LOG_H
#define PPROFD_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* The initial state is LOG_INFO in logfmt. */
void log_setup(enum log_level least, bool json);

/* A line over 1 KiB is cut. The message needs no newline; control characters in it are escaped. */
__attribute__((format(printf, 2, 3))) void log_write(enum log_level level, const char *format, ...);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

#endif
