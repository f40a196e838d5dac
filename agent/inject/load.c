// SPDX-License-Identifier: Apache-2.0
#include "inject/load.h"
#include "base/now.h"
#include "inject/borrow.h"
#include "inject/calm.h"
#include "inject/frame.h"
#include "inject/loaded.h"
#include "target/mapping.h"
#include "target/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOAD_MEMFD_NAME "libpprofd.so"
#define LOAD_MEMFD_LINK "/memfd:" LOAD_MEMFD_NAME " (deleted)"
#define LOAD_MEMFD_CLOEXEC 0x1U
#define LOAD_MEMFD_EXEC 0x10U /* Linux 6.3 */
#define LOAD_MAX_BYTES (64U << 20)
#define LOAD_MAX_SLEEPERS 32
#define LOAD_STOP_NS 20000000 /* that a thread may take to stop */
#define LOAD_CALL_NS 2000000000
#define LOAD_PAUSE_NS 10000000
#define LOAD_LIST_NS 20000000 /* that a thread is kept while another has the list */
#define LOAD_LIST_PAUSE_NS 50000

struct load {
	const struct load_request *request;
	struct calm *calm;
	uint64_t fingerprint; /* of the mappings that calm knows */
	unsigned char *bytes;
	size_t len;
	pid_t tid; /* the thread that is tried */
	int err;
	uint64_t stopped_ns;
	const char *reason; /* why the last one would not do */
};

static int read_library(struct load *load)
{
	struct stat info;
	ssize_t got;
	int err = 0, fd;

	fd = open(load->request->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &info))
		err = -errno;
	else if (!S_ISREG(info.st_mode) || info.st_size <= 0 || info.st_size > LOAD_MAX_BYTES)
		err = -EINVAL;
	if (err)
		goto out;
	load->len = (size_t)info.st_size;
	load->bytes = malloc(load->len);
	if (!load->bytes) {
		err = -ENOMEM;
		goto out;
	}
	got = pread(fd, load->bytes, load->len, 0);
	if (got != (ssize_t)load->len)
		err = got < 0 ? -errno : -EINVAL;
out:
	close(fd);
	return err;
}

static int call_syscall(struct load *load, struct borrow *borrow, struct borrow_call *call)
{
	call->function = load->request->places->syscall;
	call->watched = (long)call->args[0];
	return borrow_call(borrow, call, now_monotonic_ns() + LOAD_CALL_NS);
}

static int create_memfd(struct load *load, struct borrow *borrow, int *fd)
{
	struct borrow_call call = { .args = { SYS_memfd_create, 0,
					      LOAD_MEMFD_CLOEXEC | LOAD_MEMFD_EXEC } };
	int err;

	err = borrow_put_text(borrow, LOAD_MEMFD_NAME, &call.args[1]);
	err = err ?: call_syscall(load, borrow, &call);
	if (!err && call.result == -EINVAL) {
		call.args[2] = LOAD_MEMFD_CLOEXEC;
		err = call_syscall(load, borrow, &call);
	}
	if (!err && call.result < 0)
		err = (int)call.result;
	*fd = (int)call.result;
	return err;
}

/* The number may mean another file by now, if the process closes what it does not know. */
static int write_memfd(const struct load *load, int target_fd)
{
	char path[64], link[64];
	ssize_t len, done;
	int fd, err = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/fd/%d", load->request->memory->pid,
		 load->tid, target_fd);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link) - 1);
	link[len > 0 ? len : 0] = '\0';
	if (strcmp(link, LOAD_MEMFD_LINK) != 0) {
		err = -EBADF;
		goto out;
	}
	done = pwrite(fd, load->bytes, load->len, 0);
	if (done != (ssize_t)load->len)
		err = done < 0 ? -errno : -ENOSPC;
out:
	close(fd);
	return err;
}

static bool is_named(const struct loaded_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].name, name) == 0)
			return true;
	}
	return false;
}

/*
 * Whether a whole list lacks it. Another thread that loads or unloads has the list in pieces: one
 * who does so on and on leaves it to the next reader to tell.
 */
static bool is_refused(const struct load *load, const char *name)
{
	const struct timespec pause = { .tv_nsec = LOAD_LIST_PAUSE_NS };
	uint64_t deadline_ns = now_monotonic_ns() + LOAD_LIST_NS;
	struct loaded_list list;
	bool is_there;
	int err;

	while ((err = loaded_read(load->request->memory, &list)) != 0 &&
	       now_monotonic_ns() < deadline_ns)
		nanosleep(&pause, NULL);
	if (err)
		return false;
	is_there = is_named(&list, name);
	loaded_fini(&list);
	return !is_there;
}

static int open_memfd(struct load *load, struct borrow *borrow, int fd)
{
	const struct places *places = load->request->places;
	struct borrow_call call = { .function = places->open_library, .watched = -1 };
	struct borrow_call clear = { .function = places->clear_error, .watched = -1 };
	char name[FRAME_TEXT_BYTES];
	int err;

	snprintf(name, sizeof(name), LOAD_NAME "%d", fd);
	err = borrow_put_text(borrow, name, &call.args[0]);
	call.args[1] = places->open_flags;
	err = err ?: borrow_call(borrow, &call, now_monotonic_ns() + LOAD_CALL_NS);
	if (err || !is_refused(load, name))
		return err;
	load->reason = "its dynamic linker refused the library";
	if (clear.function)
		err = borrow_call(borrow, &clear, now_monotonic_ns() + LOAD_CALL_NS);
	return err ?: -ENOEXEC;
}

static int load_on(struct load *load, struct borrow *borrow)
{
	struct borrow_call close_call = { .args = { SYS_close } };
	int err, closed, fd;

	err = borrow_prepare(borrow, load->request->places);
	if (err) {
		load->reason = err == -EBUSY ? "answers a signal of the C library"
					     : "has registers that cannot be saved";
		return -EAGAIN;
	}
	err = create_memfd(load, borrow, &fd);
	if (err)
		return err;
	err = write_memfd(load, fd);
	err = err ?: open_memfd(load, borrow, fd);
	if (err == -ETIMEDOUT || err == -EIO || err == -ESRCH)
		return err;
	close_call.args[1] = (uint64_t)fd;
	closed = call_syscall(load, borrow, &close_call);
	return err ?: closed;
}

static bool has_filter(pid_t pid, pid_t tid)
{
	const char *seccomp;
	bool has_one;
	char *text;

	/* A thread that is gone is found out by what comes next. */
	if (procfs_status(pid, tid, &text))
		return false;
	seccomp = procfs_status_field(text, "Seccomp");
	has_one = seccomp && atoi(seccomp) != 0;
	free(text);
	return has_one;
}

/* -EAGAIN: another thread, or this one at another time, may do. */
static void try_thread(struct load *load)
{
	const struct load_request *request = load->request;
	struct borrow *borrow;
	const char *reason;
	uint64_t stopped_ns;

	load->err = -EAGAIN;
	if (has_filter(request->memory->pid, load->tid)) {
		load->reason = "has a seccomp filter";
		return;
	}
	load->err =
		borrow_take(request->memory, load->tid, now_monotonic_ns() + LOAD_STOP_NS, &borrow);
	if (load->err == -ETIMEDOUT || load->err == -ESRCH) {
		load->reason = "did not stop";
		load->err = -EAGAIN;
	}
	if (load->err)
		return;
	reason = calm_judge(load->calm, borrow_regs(borrow));
	if (reason) {
		load->reason = reason;
		load->err = -EAGAIN;
	} else {
		load->err = load_on(load, borrow);
	}
	stopped_ns = borrow_return(borrow);
	if (stopped_ns > load->stopped_ns)
		load->stopped_ns = stopped_ns;
}

static void *run_try(void *arg)
{
	try_thread(arg);
	return NULL;
}

/*
 * A thread of our own for each, so that the kernel lets go of what could not be given back. It is
 * before all others on its CPU, since a thread of the target stands still while it waits.
 */
static int start_try(struct load *load, pthread_t *thread)
{
	const struct sched_param priority = { .sched_priority = 1 };
	pthread_attr_t attributes;
	int err;

	pthread_attr_init(&attributes);
	pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
	pthread_attr_setschedparam(&attributes, &priority);
	err = pthread_create(thread, &attributes, run_try, load);
	if (err == EPERM)
		err = pthread_create(thread, NULL, run_try, load);
	pthread_attr_destroy(&attributes);
	return -err;
}

static int try_one(struct load *load, pid_t tid)
{
	pthread_t thread;
	int err;

	load->tid = tid;
	do {
		err = start_try(load, &thread);
		if (err)
			return err;
		pthread_join(thread, NULL);
	} while (load->err == -EAGAIN && calm_prepare(load->calm));
	return load->err;
}

/* Reads mappings and tables again if the process has changed them. */
static int refresh_calm(struct load *load)
{
	const struct load_request *request = load->request;
	uint64_t fingerprint;
	int err;

	err = mapping_fingerprint(request->memory->pid, &fingerprint);
	if (err || (load->calm && fingerprint == load->fingerprint))
		return err;
	calm_free(load->calm);
	load->calm = NULL;
	load->fingerprint = fingerprint;
	return calm_new(request->memory, request->places, request->cache, &load->calm);
}

static int try_all(struct load *load)
{
	pid_t tids[LOAD_MAX_SLEEPERS];
	bool in_linker;
	size_t count;
	int err;

	err = refresh_calm(load);
	if (err)
		return err;
	count = calm_list(load->calm, tids, LOAD_MAX_SLEEPERS, &in_linker);
	if (in_linker) {
		load->reason = "is in the dynamic linker";
		return -EAGAIN;
	}
	err = -EAGAIN;
	for (size_t i = 0; i < count && err == -EAGAIN; i++)
		err = try_one(load, tids[i]);
	return err;
}

static int try_until(struct load *load)
{
	const struct timespec pause = { .tv_nsec = LOAD_PAUSE_NS };
	int err;

	while ((err = try_all(load)) == -EAGAIN && now_monotonic_ns() < load->request->deadline_ns)
		nanosleep(&pause, NULL);
	return err;
}

static void explain(const struct load *load, int err, char *reason)
{
	if (err == -EAGAIN)
		snprintf(reason, LOAD_REASON_BYTES, "no thread of it could be borrowed in time%s%s",
			 load->reason ? ": one " : "", load->reason ? load->reason : "");
	else if (err == -EPERM)
		snprintf(reason, LOAD_REASON_BYTES, "it is traced already, or may not be");
	else if (err == -EIO)
		snprintf(reason, LOAD_REASON_BYTES, "its dynamic linker crashed, and was left");
	else if (err == -ETIMEDOUT)
		snprintf(reason, LOAD_REASON_BYTES, "its dynamic linker has not returned");
	else if (err == -ENOEXEC && load->reason)
		snprintf(reason, LOAD_REASON_BYTES, "%s", load->reason);
	else
		snprintf(reason, LOAD_REASON_BYTES, "%s", strerror(-err));
}

int load_library(const struct load_request *request, uint64_t *stopped_ns,
		 char reason[LOAD_REASON_BYTES])
{
	struct load load = { .request = request };
	int err;

	err = read_library(&load);
	if (err) {
		snprintf(reason, LOAD_REASON_BYTES, "the library %s cannot be read: %s",
			 request->path, strerror(-err));
		goto out;
	}
	err = try_until(&load);
	if (err)
		explain(&load, err, reason);
	if (err == -EAGAIN || err == -EPERM)
		err = -EBUSY;
out:
	*stopped_ns = load.stopped_ns;
	calm_free(load.calm);
	free(load.bytes);
	return err;
}
