// SPDX-License-Identifier: Apache-2.0
#include "runtime/gopcs.h"
#include "base/buf.h"
#include "base/table.h"
#include "object/gopclntab.h"
#include "runtime/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOPCS_MAX_KNOWN 262144U /* addresses; beyond, all are forgotten and looked up again */
#define GOPCS_MAX_CALLER_BYTES (8U << 20) /* likewise */

/* What could be copied in the time of looking into a byte of a function's tables, of three. */
#define GOPCS_LOOK_BYTES (3U * 12U)

/* What a stored address means. */
struct meaning {
	uint64_t stored; /* the table's key; the file's address */
	uint64_t executed; /* 0: in no Go function, or runtime.goexit */
	uint32_t first_caller, caller_count; /* callers it is inlined in, as they would be stored */
	bool is_runtime; /* of the functions that are hidden in heap profiles */
};

struct gopcs {
	const struct gopclntab *tab;
	uint64_t bias;
	struct remote *remote;
	bool has_internal; /* internal/runtime/ counts as the runtime */
	struct table *known;
	struct buf callers; /* u64 each, of all known ones */
	struct meaning fresh; /* what was looked up last */
	uint64_t fresh_callers[GOPCLNTAB_MAX_CALLS];
};

int gopcs_new(const struct gopclntab *tab, uint64_t bias, unsigned minor, struct remote *remote,
	      struct gopcs **out)
{
	struct gopcs *pcs = calloc(1, sizeof(*pcs));
	int err;

	if (!pcs)
		return -ENOMEM;
	err = table_new(sizeof(uint64_t), sizeof(struct meaning), GOPCS_MAX_KNOWN, &pcs->known);
	if (err) {
		free(pcs);
		return err;
	}
	buf_init(&pcs->callers, GOPCS_MAX_CALLER_BYTES);
	pcs->tab = tab;
	pcs->bias = bias;
	pcs->remote = remote;
	pcs->has_internal = minor >= 24;
	*out = pcs;
	return 0;
}

void gopcs_free(struct gopcs *pcs)
{
	if (!pcs)
		return;
	table_free(pcs->known);
	buf_fini(&pcs->callers);
	free(pcs);
}

static bool begins(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Counts the work for so many calls. Returns whether there may be more. */
static bool charge(const struct gopcs *pcs, const struct gopclntab_function *function, int calls)
{
	if (!pcs->remote)
		return true;
	remote_charge(pcs->remote,
		      (function->end - function->entry) * GOPCS_LOOK_BYTES * (uint64_t)calls);
	return !remote_is_spent(pcs->remote);
}

/* Sets what is fresh. Returns whether that is all that there is to know. */
static bool explain(struct gopcs *pcs, uint64_t stored)
{
	struct gopclntab_call calls[GOPCLNTAB_MAX_CALLS];
	struct gopclntab_function function;
	struct meaning *fresh = &pcs->fresh;
	int count;

	*fresh = (struct meaning){ .stored = stored };
	if (gopclntab_find(pcs->tab, stored, &function))
		return true;
	if (strcmp(function.name, "runtime.goexit") == 0) {
		fresh->is_runtime = true;
		return true;
	}
	if (!charge(pcs, &function, 1))
		return false;
	fresh->executed = stored > function.entry ? stored - 1 : stored;
	count = gopclntab_calls(pcs->tab, &function, fresh->executed, calls);
	if (count > 0)
		fresh->is_runtime =
			begins(calls[0].name, "runtime.") ||
			(pcs->has_internal && begins(calls[0].name, "internal/runtime/"));
	for (int i = 1; i < count; i++)
		pcs->fresh_callers[fresh->caller_count++] = calls[i].pc + 1;
	if (count > 1)
		charge(pcs, &function, count - 1);
	return true;
}

static void forget(struct gopcs *pcs)
{
	for (uint32_t i = 0; i < table_end(pcs->known); i++) {
		if (table_used(pcs->known, i))
			table_remove(pcs->known, i);
	}
	buf_clear(&pcs->callers);
}

/* Nothing is lost where it cannot be remembered but time. */
static void remember(struct gopcs *pcs)
{
	struct meaning *fresh = &pcs->fresh;
	uint32_t index;

	if (table_count(pcs->known) == GOPCS_MAX_KNOWN)
		forget(pcs);
	fresh->first_caller = (uint32_t)(pcs->callers.len / sizeof(uint64_t));
	buf_add(&pcs->callers, pcs->fresh_callers, fresh->caller_count * sizeof(uint64_t));
	if (buf_error(&pcs->callers))
		forget(pcs);
	else if (!table_add(pcs->known, &fresh->stored, &index, NULL))
		memcpy(table_entry(pcs->known, index), fresh, sizeof(*fresh));
}

/* What the address of the process means; valid until the next call. */
static const struct meaning *look_up(struct gopcs *pcs, uint64_t address, const uint64_t **callers)
{
	uint64_t stored = address - pcs->bias;
	uint32_t index = table_find(pcs->known, &stored);
	const struct meaning *known;

	if (index != TABLE_NONE) {
		known = table_entry(pcs->known, index);
		*callers = (const uint64_t *)(const void *)pcs->callers.data + known->first_caller;
		return known;
	}
	if (explain(pcs, stored))
		remember(pcs);
	*callers = pcs->fresh_callers;
	return &pcs->fresh;
}

size_t gopcs_hidden(struct gopcs *pcs, const uint64_t *stack, size_t count)
{
	const uint64_t *callers;
	size_t i = 0;

	while (i < count && look_up(pcs, stack[i], &callers)->is_runtime)
		i++;
	return i < count ? i : 0;
}

size_t gopcs_collapse(struct gopcs *pcs, const uint64_t *stack, size_t count, uint64_t *frames)
{
	size_t done = 0, i = 0;

	while (i < count) {
		const uint64_t *callers;
		const struct meaning *meaning = look_up(pcs, stack[i++], &callers);

		if (meaning->executed != 0)
			frames[done++] = meaning->executed + pcs->bias;
		/* A caller that is missing here was left out as a compiler's wrapper. */
		for (uint32_t j = 0; j < meaning->caller_count && i < count; j++)
			i += stack[i] - pcs->bias == callers[j];
	}
	return done;
}
