/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf: bytes that grow at the end, up to a maximum that init demands.
 *
 * The first failure sticks: later appends do nothing and buf_error() tells, so that a writer of
 * many small pieces checks once. Not thread-safe.
 */
#ifndef PPROFD_BASE_BUF_H
#define PPROFD_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* NUL-terminated when not NULL; the NUL is not part of len */
	size_t len, cap, max_bytes;
	int err; /* 0, -ENOMEM, -ENOSPC */
};

void buf_init(struct buf *buf, size_t max_bytes);
void buf_fini(struct buf *buf);

/* Forgets the content and the error, keeps the memory. */
void buf_clear(struct buf *buf);

void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_add_str(struct buf *buf, const char *str);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *buf, const char *format, ...);

/* Gives back the memory that is kept for more. */
void buf_trim(struct buf *buf);

/* Makes room for len more bytes and returns where to write them, or NULL after a failure. */
void *buf_grow(struct buf *buf, size_t len);

static inline int buf_error(const struct buf *buf)
{
	return buf->err;
}

#endif
