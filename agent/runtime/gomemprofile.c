// SPDX-License-Identifier: Apache-2.0
#include "object/gofile.h"
#include "runtime/gocode.h"
#include "runtime/goglobals.h"
#include "runtime/golang_private.h"
#include "runtime/gorecords.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GOMEMPROFILE_RATE 524288U /* what the runtime begins with itself */

/*
 * Whether code other than that which told where the rate lies uses it, too: of every allocation
 * cache's making, so that a wrong word is not written to.
 */
static int confirm_rate(struct golang *golang, uint64_t address)
{
	struct gocode_function *function = malloc(sizeof(*function));
	bool is_used = false;
	int err;

	if (!function)
		return -ENOMEM;
	err = gocode_read(golang->object, gofile_pclntab(golang->file), "runtime.allocmcache",
			  function);
	for (size_t i = 0; !err && i < function->count; i++) {
		const struct gocode_operand *operand = &function->operands[i];

		is_used = is_used ||
			  (operand->use == GOCODE_LOAD && operand->bytes == sizeof(uint64_t) &&
			   operand->vaddr + golang->bias == address);
	}
	free(function);
	if (err == -ENOMEM || is_used)
		return err;
	return golang_fail(golang, -ENOTSUP, "%s: runtime.MemProfileRate cannot be confirmed",
			   golang_version(golang));
}

/* Writes the word, through memory that was opened before it was checked whose it is. */
static int write_rate(struct golang *golang, uint64_t address)
{
	const uint64_t rate = GOMEMPROFILE_RATE;
	char path[32];
	ssize_t done;
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%d/mem", golang->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	err = remote_check(golang->remote);
	if (!err) {
		done = pwrite(fd, &rate, sizeof(rate), (off_t)address);
		if (done != (ssize_t)sizeof(rate))
			err = done < 0 ? -errno : -ESRCH;
	}
	close(fd);
	return err;
}

static int read_rate(struct golang *golang, uint64_t address, uint64_t *rate)
{
	int err = remote_read(golang->remote, address, rate, sizeof(*rate));

	return err == -EFAULT ? golang_fail(golang, -EBADMSG, "the runtime's data is not mapped")
			      : err;
}

static int enable(struct golang *golang)
{
	const struct goglobals *globals;
	uint64_t rate;
	int err = gorecords_globals(golang, &globals);

	if (err)
		return err;
	if (globals->memprofile_rate == 0 || globals->mbuckets == 0)
		return golang_fail(golang, -ENOTSUP, "%s: runtime.MemProfileRate was not found",
				   golang_version(golang));
	err = read_rate(golang, globals->memprofile_rate, &rate);
	if (err)
		return err;
	/* A rate of 0 that the program chose itself is its own business. */
	if (rate != 0 || globals->has_memprofile)
		return -EALREADY;
	err = confirm_rate(golang, globals->memprofile_rate);
	if (!err)
		err = write_rate(golang, globals->memprofile_rate);
	if (!err)
		err = read_rate(golang, globals->memprofile_rate, &rate);
	if (!err && rate != GOMEMPROFILE_RATE)
		err = golang_fail(golang, -EBADMSG,
				  "runtime.MemProfileRate does not keep its value");
	return err;
}

int golang_enable_memprofile(struct golang *golang)
{
	golang_begin(golang);
	return golang_end(golang, enable(golang));
}
