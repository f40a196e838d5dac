/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golang: a live Go process, read from outside: what its runtime has recorded.
 *
 * Nothing is written into the process and it is not stopped. Every layout is checked against the
 * process itself; what does not fit is an error with a reason, never a guess. Pipeline's thread
 * only.
 */
#ifndef PPROFD_RUNTIME_GOLANG_H
#define PPROFD_RUNTIME_GOLANG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct golang;
struct mapping_list;

#define GOLANG_REASON_BYTES 128
#define GOLANG_MAX_FRAMES 1024U /* runtime.maxProfStackDepth */

/*
 * Looks whether the process is a Go program and finds its runtime's data. Borrows the objects that
 * the mappings hold references to; takes its own. Returns 0; -ENOENT if it is none; -ENOTSUP or
 * -EBADMSG with the reason, where it cannot be read, or -ETIME, where that takes too long; -ESRCH,
 * -EPERM, -ENOMEM.
 */
__attribute__((warn_unused_result)) int golang_open(pid_t pid, const struct mapping_list *mappings,
						    struct golang **out,
						    char reason[GOLANG_REASON_BYTES]);
void golang_free(struct golang *golang);

/* As the program has it, "go1.22.3". */
const char *golang_version(const struct golang *golang);

/* A record of the runtime's, of one stack. */
struct golang_record {
	uint64_t id; /* the same one is the same record in each reading */
	uint64_t size; /* heap: bytes of each object; else 0 */
	uint64_t counts[2]; /* heap: allocations, frees. block, mutex: scaled count, ns */
	/*
	 * Addresses that were executed, innermost first: of return addresses the byte before, of
	 * inlined calls only the instruction that all of them stand at.
	 */
	const uint64_t *frames;
	uint32_t frame_count;
};

enum golang_records { GOLANG_HEAP, GOLANG_BLOCK, GOLANG_MUTEX, GOLANG_THREADCREATE };

/* What is true of all records that were read together. */
struct golang_summary {
	uint64_t rate; /* heap: runtime.MemProfileRate; block, mutex: the runtime's rate */
	uint32_t count; /* of records */
	uint32_t retries; /* how often the runtime changed them while they were read */
	bool is_late; /* heap: the linker left it off; it was switched on later */
};

/*
 * Reads a consistent set of records and then calls visit for each, whose frames are borrowed for
 * the call: with an error for none. Heap: counts are raw, to be scaled by the rate as runtime/pprof
 * does; leading frames of the runtime are left out as there. Returns 0; -ENOTSUP with the reason
 * where the program has none; -EAGAIN if they did not hold still; -EBADMSG, or -ETIME where it
 * takes too long, with the reason; -ESRCH; -ENOMEM.
 */
__attribute__((warn_unused_result)) int golang_each_record(
	struct golang *golang, enum golang_records which,
	void (*visit)(void *arg, const struct golang_record *record), void *arg,
	struct golang_summary *summary);
/* Why the last call failed, or "". */
const char *golang_reason(const struct golang *golang);

struct golang_label {
	const char *key, *value;
};

#define GOLANG_MAX_LABELS 16U

/* Which time it is that a goroutine runs: for golang_is_still_running() of goowner.h. */
struct golang_turn {
	uint64_t g, m, id; /* the former two are addresses */
	uint8_t stops;
};

struct golang_goroutine {
	uint64_t id, parent_id; /* parent 0: not known */
	const char *state; /* as Go's own dump names it: "chan receive", "running" */
	uint64_t wait_ns; /* for how long it has waited; 0: the runtime has not noted it yet */
	int32_t tid; /* the thread that runs it, in the agent's PID namespace; else 0 */
	bool is_running; /* its stack must be taken from the thread; frames are empty */
	struct golang_turn turn; /* where it runs */
	bool is_locked; /* to its thread */
	const uint64_t *frames; /* as golang_record's; runtime.goexit is left out */
	uint32_t frame_count;
	bool is_cut; /* the stack moved or is damaged: the frames are what was sure */
	uint64_t started_at; /* the function that it runs */
	uint64_t created_at; /* the go statement's address; 0: none that Go's own dump shows */
	const struct golang_label *labels; /* by rising key */
	uint32_t label_count;
};

/*
 * Calls visit for every goroutine that runtime/pprof would show. All pointers are borrowed for the
 * call. Returns as golang_each_record() does.
 */
__attribute__((warn_unused_result)) int golang_each_goroutine(
	struct golang *golang, void (*visit)(void *arg, const struct golang_goroutine *goroutine),
	void *arg);

/*
 * Sets runtime.MemProfileRate to 524,288 in a program whose linker switched memory profiling off:
 * the one write that --go-memprofile asks for. Returns 0, -EALREADY if it is on, or as above.
 */
__attribute__((warn_unused_result)) int golang_enable_memprofile(struct golang *golang);

#endif
