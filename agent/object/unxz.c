// SPDX-License-Identifier: Apache-2.0
#include "object/unxz.h"

#include <errno.h>
#include <lzma.h>
#include <stdint.h>
#include <unistd.h>

#define UNXZ_MAX_MEMORY (64U << 20)
#define UNXZ_CHUNK_BYTES (32U << 10)

static int write_all(int fd, const uint8_t *bytes, size_t len, size_t offset)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, bytes, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		offset += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int unpack(lzma_stream *stream, size_t max_bytes, int fd)
{
	uint8_t chunk[UNXZ_CHUNK_BYTES];
	size_t done = 0;

	for (;;) {
		lzma_ret status;
		size_t len;
		int err;

		stream->next_out = chunk;
		stream->avail_out = sizeof(chunk);
		status = lzma_code(stream, LZMA_FINISH);
		if (status == LZMA_MEM_ERROR)
			return -ENOMEM;
		if (status != LZMA_OK && status != LZMA_STREAM_END)
			return -ENOEXEC;
		len = sizeof(chunk) - stream->avail_out;
		if (len > max_bytes - done)
			return -EFBIG;
		err = write_all(fd, chunk, len, done);
		if (err || status == LZMA_STREAM_END)
			return err;
		done += len;
	}
}

int unxz_to_file(const void *data, size_t len, size_t max_bytes, int fd)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	int err;

	if (lzma_stream_decoder(&stream, UNXZ_MAX_MEMORY, 0) != LZMA_OK)
		return -ENOMEM;
	stream.next_in = data;
	stream.avail_in = len;
	err = unpack(&stream, max_bytes, fd);
	lzma_end(&stream);
	return err;
}
