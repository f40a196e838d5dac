// SPDX-License-Identifier: Apache-2.0
#include "runtime/gotids.h"

#include "base/table.h"
#include "target/procfs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct number {
	uint64_t inner;
	int32_t tid;
};

void gotids_init(struct gotids *tids, pid_t pid)
{
	*tids = (struct gotids){ .pid = pid };
}

void gotids_fini(struct gotids *tids)
{
	table_free(tids->tids);
	tids->tids = NULL;
}

uint64_t gotids_parse(const char *status, unsigned *levels)
{
	const char *at = strstr(status, "\nNSpid:");
	uint64_t last = 0;

	*levels = 0;
	if (!at)
		return 0;
	for (at += strlen("\nNSpid:"); *at == '\t' || *at == ' ';) {
		char *end;
		uint64_t number = strtoull(at, &end, 10);

		if (end == at)
			break;
		last = number;
		(*levels)++;
		at = end;
	}
	return last;
}

static void add_thread(struct gotids *tids, int32_t tid)
{
	struct number number;
	unsigned levels;
	uint32_t index;
	char *status;

	if (procfs_status(tids->pid, tid, &status))
		return;
	number.inner = gotids_parse(status, &levels);
	free(status);
	number.tid = tid;
	if (table_add(tids->tids, &number.inner, &index, NULL) == 0)
		memcpy(table_entry(tids->tids, index), &number, sizeof(number));
}

static void read_threads(struct gotids *tids)
{
	char path[32], *status;
	unsigned levels;
	DIR *dir;

	tids->is_read = true;
	if (procfs_status(tids->pid, 0, &status))
		return;
	gotids_parse(status, &levels);
	free(status);
	tids->is_same = levels <= 1;
	if (tids->is_same ||
	    table_new(sizeof(uint64_t), sizeof(struct number), GOTIDS_MAX, &tids->tids))
		return;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)tids->pid);
	dir = opendir(path);
	if (!dir)
		return;
	for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		if (entry->d_name[0] != '.')
			add_thread(tids, (int32_t)strtol(entry->d_name, NULL, 10));
	}
	closedir(dir);
}

int32_t gotids_find(struct gotids *tids, uint64_t number)
{
	uint32_t index;

	if (!tids->is_read)
		read_threads(tids);
	if (number == 0 || number > INT32_MAX)
		return 0;
	if (tids->is_same)
		return (int32_t)number;
	if (!tids->tids)
		return 0;
	index = table_find(tids->tids, &number);
	if (index == TABLE_NONE)
		return 0;
	return ((const struct number *)table_entry(tids->tids, index))->tid;
}
