/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probelist: the probes that stand in one process's files, and what for.
 *
 * Pipeline's thread only.
 */
#ifndef PPROFD_SAMPLE_PROBELIST_H
#define PPROFD_SAMPLE_PROBELIST_H

#include <stdbool.h>
#include <stddef.h>

struct object;
struct uprobe_set;
struct uprobe_site;

enum probelist_purpose {
	PROBELIST_ALLOC, /* on the allocator's functions */
	PROBELIST_OTEL, /* on notes of provider otel_memory */
	PROBELIST_GC, /* where a runtime says that it collects */
};

/* Probes in one file. */
struct probelist_item {
	enum probelist_purpose purpose;
	struct object *object; /* a reference */
	struct uprobe_set *set; /* NULL: they are taken away, to keep within the budget */
	struct uprobe_site *sites; /* of allocations, to place them again for a while; NULL: none */
	size_t site_count;
};

/* Zeroed: an empty one. */
struct probelist {
	struct probelist_item *items;
	size_t count;
};

/*
 * Whether probes for this purpose stand in the file, by the file itself: an object is made anew
 * when the file is renamed, while its probes stay. NULL: in any file.
 */
bool probelist_has(const struct probelist *list, enum probelist_purpose purpose,
		   const struct object *object);

/* Returns 0, -ENOSPC if a process has probes in too many files, or -ENOMEM. */
__attribute__((warn_unused_result)) int probelist_reserve(struct probelist *list);
/* After probelist_reserve(). Takes the set and the sites, references the object. */
void probelist_add(struct probelist *list, const struct probelist_item *item);

/* The probes for this purpose go, which takes some time; the list still has them. */
void probelist_park(struct probelist *list, enum probelist_purpose purpose);

/* Takes all probes for this purpose away, which takes as much. */
void probelist_remove(struct probelist *list, enum probelist_purpose purpose);

/* Takes all away, without waiting where the process is gone. */
void probelist_fini(struct probelist *list, bool is_gone);

#endif
