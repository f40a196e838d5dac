/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golang_private: what the files that read a Go process share.
 *
 * Addresses are those of the process unless they are said to be the file's.
 */
#ifndef PPROFD_RUNTIME_GOLANG_PRIVATE_H
#define PPROFD_RUNTIME_GOLANG_PRIVATE_H

#include "object/gofile.h"
#include "runtime/golang.h"
#include "runtime/remote.h"

#include <stdint.h>

struct gopclntab;
struct gorecords;
struct goroutines;
struct object;

#define GOLANG_ABSENT UINT32_MAX /* a field that this version does not have */

/* Offsets in bytes, and sizes of whole structs. */
struct golang_g_layout {
	uint32_t size;
	uint32_t stack_lo, stack_hi, m;
	uint32_t sched_sp, sched_pc;
	uint32_t syscallsp, syscallpc;
	uint32_t atomicstatus; /* u32 */
	uint32_t goid; /* u64 */
	uint32_t waitsince; /* i64, nanotime */
	uint32_t waitreason; /* u8 */
	uint32_t stops; /* u8 trackingSeq: counts how often it has stopped */
	uint32_t lockedm; /* *m */
	uint32_t parent_goid; /* u64; GOLANG_ABSENT before 1.21 */
	uint32_t gopc, startpc;
	uint32_t labels; /* pointer: to an hmap up to 1.23, then to a slice header of pairs */
};

#define GOLANG_CREATESTACK 32U /* addresses in m.createstack */

struct golang_m_layout {
	uint32_t size; /* up to and with createstack */
	uint32_t g0;
	uint32_t procid; /* u64 */
	uint32_t curg; /* *g */
	uint32_t syscalltick; /* u32: another one for every system call */
	uint32_t alllink; /* *m */
	uint32_t createstack; /* [32]uintptr */
};

struct golang_layout {
	struct golang_g_layout g;
	struct golang_m_layout m;
};

/* When it was begun last, and until when it is not begun again. CLOCK_MONOTONIC. */
struct golang_task {
	uint64_t begun_ns, rests_until_ns;
};

struct golang {
	pid_t pid;
	unsigned minor; /* the N of Go 1.N */
	struct object *object; /* a reference */
	const struct gofile *file; /* the object's */
	uint64_t bias; /* process address - the file's */
	struct gofile_module module; /* as in the file, but biased: the process's addresses */
	uint64_t next_module; /* where the first module points to the next; 0: not known */
	struct golang_layout layout;
	struct remote *remote;
	uint64_t budget_bytes; /* of the remote's, for each public call */
	uint64_t patience_ns; /* a task that takes longer in vain must rest */
	struct golang_task records_task, goroutines_task;
	struct gorecords *records; /* gorecords.c's; NULL until it is used */
	struct goroutines
		*goroutines; /* as above; goroutines_free() of goroutines.h gives it back */
	char reason[GOLANG_REASON_BYTES];
};

/*
 * Around all work for one public call: the first forgets the reason and begins the budget of what
 * may be read, the second returns err, with the reason where it is that the budget was used up.
 */
void golang_begin(struct golang *golang);
int golang_end(struct golang *golang, int err);

/*
 * The same around what the process can make long. If it took long in vain the first returns -ETIME
 * for a while; else the second must follow.
 */
__attribute__((warn_unused_result)) int golang_begin_task(struct golang *golang,
							  struct golang_task *task);
int golang_end_task(struct golang *golang, struct golang_task *task, int err);

/* Remembers the reason, without a newline and cut to fit, and returns err. */
__attribute__((format(printf, 3, 4))) int golang_fail(struct golang *golang, int err,
						      const char *format, ...);

/* Whether [address, address + len) lies in the module's data: data, bss, their noptr kin. */
bool golang_holds_data(const struct golang *golang, uint64_t address, uint64_t len);
/* Whether address lies in Go code. */
bool golang_holds_code(const struct golang *golang, uint64_t address);

/*
 * Whether all Go code is the program's own. Returns 0; -ENOTSUP with the reason where plugins have
 * been loaded; -EBADMSG with the reason; -ESRCH or -EPERM.
 */
__attribute__((warn_unused_result)) int golang_check_modules(struct golang *golang);

/*
 * The address of a variable of the runtime's, "runtime.allgs", from the file's symbol table.
 * Returns 0; -ENOENT where there is no table, or it has no such variable of at least len bytes in
 * the module's data; -ENOMEM, or another -errno of reading the file.
 */
__attribute__((warn_unused_result)) int golang_find_variable(struct golang *golang,
							     const char *name, uint64_t len,
							     uint64_t *address);

#endif
