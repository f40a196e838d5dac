/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject: puts the in-process sampler into a running process, and takes it out of use again.
 *
 * The library is loaded once and stays. What makes it work is that calls of the allocator are led
 * to it, word by word, and led back by inject_undo(). At every moment the process works without us,
 * whatever became of us: with the calls led to the library or back, or part of them.
 *
 * Pipeline's thread only; load and undo take milliseconds, most of which the process is not
 * stopped.
 */
#ifndef PPROFD_INJECT_INJECT_H
#define PPROFD_INJECT_INJECT_H

#include <stdint.h>
#include <sys/types.h>

#define INJECT_REASON_BYTES 160
#define INJECT_DEFAULT_TIMEOUT_NS 2000000000ULL

struct injection;
struct object_cache;

/* Paths in our own file system; NULL: there is no such build. */
struct inject_options {
	const char *glibc_library, *musl_library;
	struct object_cache *cache; /* borrowed for the call */
	uint64_t interval_bytes; /* 0: the library's own choice */
	uint64_t timeout_ns; /* for a thread to be found that can be borrowed */
};

struct inject_stats {
	uint64_t stopped_ns; /* the longest that a thread was not its own; 0: none was */
	uint64_t redirected; /* words that lead to the library */
	uint64_t left; /* words that were left as they were: see slots.h */
	uint64_t sampled, untracked; /* as sampler.h has them; 0 of a process that is gone */
};

/*
 * Loads the library into process pid unless it has it already, and leads calls to it. The caller
 * frees *out by inject_undo(). Returns 0 or, with the reason in words:
 * -EALREADY: the sampler was preloaded, nothing is to be done;
 * -ENOTSUP: a static or 32-bit program, one that has its allocator in itself, a C library that
 * there is no build for, or a seccomp filter; -EBUSY: it is traced or stopped, or no thread could
 * be borrowed in time; -ENOEXEC: its dynamic linker refused the library; -ETIMEDOUT: the library
 * may come into use by a later call; -EIO; -ESRCH: it is gone; -ENOMEM.
 */
__attribute__((warn_unused_result)) int inject_load(pid_t pid, const struct inject_options *options,
						    struct injection **out,
						    char reason[INJECT_REASON_BYTES]);

/*
 * Leads the calls of objects that have come since. Returns 0, -EAGAIN while the process's linker is
 * at work (call again), -ESRCH if the image is gone, or -errno.
 */
__attribute__((warn_unused_result)) int inject_follow(struct injection *injection);

void inject_get_stats(const struct injection *injection, struct inject_stats *out);

/*
 * Stops sampling, leads all calls back, and frees. Returns 0 or -errno of what could not be led
 * back; those calls go through the library, which does nothing. Of a process that is gone: 0.
 */
int inject_undo(struct injection *injection);

#endif
