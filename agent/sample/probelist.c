// SPDX-License-Identifier: Apache-2.0
#include "sample/probelist.h"
#include "object/object.h"
#include "probe/uprobe.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PROBELIST_MAX_FILES 128U

static bool is_same_file(const struct object *a, const struct object *b)
{
	struct stat x, y;

	return fstat(object_fd(a), &x) == 0 && fstat(object_fd(b), &y) == 0 &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool probelist_has(const struct probelist *list, enum probelist_purpose purpose,
		   const struct object *object)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct probelist_item *item = &list->items[i];

		if (item->purpose == purpose && (!object || is_same_file(item->object, object)))
			return true;
	}
	return false;
}

int probelist_reserve(struct probelist *list)
{
	struct probelist_item *larger;

	if (list->count == PROBELIST_MAX_FILES)
		return -ENOSPC;
	larger = reallocarray(list->items, list->count + 1, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	list->items = larger;
	return 0;
}

void probelist_add(struct probelist *list, const struct probelist_item *item)
{
	object_ref(item->object);
	list->items[list->count++] = *item;
}

static void drop(struct probelist_item *item, bool may_wait)
{
	if (item->set && !may_wait)
		uprobe_detach_later(item->set);
	else
		uprobe_detach(item->set);
	item->set = NULL;
}

static void fini_item(struct probelist_item *item, bool may_wait)
{
	drop(item, may_wait);
	free(item->sites);
	object_free(item->object);
}

void probelist_park(struct probelist *list, enum probelist_purpose purpose)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].purpose == purpose)
			drop(&list->items[i], true);
	}
}

void probelist_remove(struct probelist *list, enum probelist_purpose purpose)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].purpose != purpose)
			list->items[kept++] = list->items[i];
		else
			fini_item(&list->items[i], true);
	}
	list->count = kept;
}

void probelist_fini(struct probelist *list, bool is_gone)
{
	for (size_t i = 0; i < list->count; i++)
		fini_item(&list->items[i], !is_gone);
	free(list->items);
	*list = (struct probelist){ 0 };
}
