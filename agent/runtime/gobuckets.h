/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gobuckets: the stacks that Go's runtime keeps records of, runtime.bucket of runtime/mprof.go.
 *
 * The runtime never changes or frees a bucket's head and stack, and adds new buckets at the list's
 * beginning: each is read once. One thread at a time.
 */
#ifndef PPROFD_RUNTIME_GOBUCKETS_H
#define PPROFD_RUNTIME_GOBUCKETS_H

#include <stddef.h>
#include <stdint.h>

struct gobuckets;
struct gopcs;
struct remote;

/* runtime.bucketType */
enum gobuckets_type { GOBUCKETS_HEAP = 1, GOBUCKETS_BLOCK = 2, GOBUCKETS_MUTEX = 3 };

#define GOBUCKETS_MAX (1U << 18) /* buckets of a list */
#define GOBUCKETS_MAX_FRAMES (1U << 23) /* of all their stacks */
#define GOBUCKETS_MAX_STACK 1024U /* runtime.maxProfStackDepth */
#define GOBUCKETS_HEAD_BYTES 48U

/* The beginning of a bucket. */
struct gobuckets_head {
	uint64_t next, allnext, type, hash, size, stack_count;
};
_Static_assert(sizeof(struct gobuckets_head) == GOBUCKETS_HEAD_BYTES, "as the runtime has it");

struct gobucket {
	uint64_t record; /* where its record lies */
	uint64_t size; /* heap: bytes of each object */
	uint32_t first_frame, frame_count;
};

/* A list of buckets of one type. Borrows the others. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int gobuckets_new(struct remote *remote, struct gopcs *pcs,
						      enum gobuckets_type type,
						      struct gobuckets **out);
void gobuckets_free(struct gobuckets *list);

/*
 * Reads what has been added since, up to the bucket at head, 0 for none at all. Returns 0; -EBADMSG
 * if one is no such bucket, by its type or hash, or the list does not lead to those known; -E2BIG
 * over a maximum; -ESRCH; -EPERM; -ETIME; -ENOMEM. After an error the list is as it was.
 */
__attribute__((warn_unused_result)) int gobuckets_update(struct gobuckets *list, uint64_t head);

/* The buckets, by rising address, and their frames, innermost first. Borrowed until the next
 * update.
 */
size_t gobuckets_count(const struct gobuckets *list);
const struct gobucket *gobuckets_at(const struct gobuckets *list, size_t index);
const uint64_t *gobuckets_frames(const struct gobuckets *list, const struct gobucket *bucket);

/* Whether there is a bucket of this type at address, by its hash. */
int gobuckets_check(struct remote *remote, uint64_t address, enum gobuckets_type type);

/* The hash that the runtime gives the bucket of this stack. Pure. */
uint64_t gobuckets_hash(const uint64_t *stack, size_t count, uint64_t size);

#endif
