// SPDX-License-Identifier: Apache-2.0
#include "inject/refuse.h"
#include "target/procfs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a line says, "" where there is none: its kernel knows no such thing. */
static const char *field(const char *status, const char *name)
{
	const char *text = procfs_status_field(status, name);

	return text ? text : "";
}

static int refuse(int err, char *reason, size_t reason_bytes, const char *text)
{
	snprintf(reason, reason_bytes, "%s", text);
	return err;
}

int refuse_check_status(const char *status, char *reason, size_t reason_bytes)
{
	const char *features = field(status, "x86_Thread_features");
	char state = field(status, "State")[0];

	if (state == 'Z' || state == 'X')
		return refuse(-ESRCH, reason, reason_bytes, "it has ended");
	if (atoi(field(status, "TracerPid")) != 0)
		return refuse(-EBUSY, reason, reason_bytes, "it is traced already");
	if (state == 'T' || state == 't')
		return refuse(-EBUSY, reason, reason_bytes, "it is stopped");
	if (atoi(field(status, "Seccomp")) != 0)
		return refuse(-ENOTSUP, reason, reason_bytes,
			      "a seccomp filter decides what it may call");
	if (strncmp(features, "shstk", 5) == 0)
		return refuse(-ENOTSUP, reason, reason_bytes, "it has a shadow stack");
	return 0;
}

static int check_executable(pid_t pid, char *reason, size_t reason_bytes)
{
	Elf64_Ehdr header = { .e_ident = "" };
	char path[32];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refuse(-ENOTSUP, reason, reason_bytes, "its program cannot be read");
	got = pread(fd, &header, sizeof(header), 0);
	close(fd);
	if (got != sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
		return refuse(-ENOTSUP, reason, reason_bytes, "it is no 64-bit program");
	return 0;
}

int refuse_check(pid_t pid, char *reason, size_t reason_bytes)
{
	char *text;
	int err;

	if (procfs_status(pid, 0, &text))
		return refuse(-ESRCH, reason, reason_bytes, "there is no such process");
	err = refuse_check_status(text, reason, reason_bytes);
	free(text);
	return err ?: check_executable(pid, reason, reason_bytes);
}
