// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_BYTES 256U

void buf_init(struct buf *buf, size_t max_bytes)
{
	*buf = (struct buf){ .max_bytes = max_bytes };
}

void buf_fini(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->max_bytes);
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->err = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

void buf_trim(struct buf *buf)
{
	char *data = buf->data ? realloc(buf->data, buf->len + 1) : NULL;

	if (!data)
		return;
	buf->data = data;
	buf->cap = buf->len + 1;
}

static int reserve(struct buf *buf, size_t extra)
{
	size_t cap = buf->cap ? buf->cap : BUF_FIRST_BYTES;
	char *data;

	if (extra > buf->max_bytes - buf->len)
		return -ENOSPC;
	while (cap <= buf->len + extra)
		cap *= 2;
	if (cap == buf->cap)
		return 0;
	data = realloc(buf->data, cap);
	if (!data)
		return -ENOMEM;
	buf->data = data;
	buf->cap = cap;
	return 0;
}

void *buf_grow(struct buf *buf, size_t len)
{
	char *at;

	if (!buf->err)
		buf->err = reserve(buf, len);
	if (buf->err)
		return NULL;
	at = buf->data + buf->len;
	buf->len += len;
	buf->data[buf->len] = '\0';
	return at;
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
	void *at = buf_grow(buf, len);

	if (at && len > 0)
		memcpy(at, bytes, len);
}

void buf_add_str(struct buf *buf, const char *str)
{
	buf_add(buf, str, strlen(str));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args, again;
	char *at;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	at = buf_grow(buf, len > 0 ? (size_t)len : 0);
	if (at)
		vsnprintf(at, (size_t)len + 1, format, again);
	va_end(again);
}
