// SPDX-License-Identifier: Apache-2.0
#include "http/index.h"
#include "probe/budget.h"

#include <inttypes.h>
#include <string.h>

/* web/index.html, as the linker embeds it. {{name}} in it stands for what fillers[] writes. */
extern const char _binary_web_index_html_start[], _binary_web_index_html_end[];

struct page {
	const struct status *status;
	const struct status_target *target; /* NULL: of all */
	struct buf *out;
};

/* Control characters, too: HTML knows no way to write them. */
static void write_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			buf_add_str(out, "&amp;");
			break;
		case '<':
			buf_add_str(out, "&lt;");
			break;
		case '>':
			buf_add_str(out, "&gt;");
			break;
		case '"':
			buf_add_str(out, "&quot;");
			break;
		case '\'':
			buf_add_str(out, "&#39;");
			break;
		default:
			buf_add(out, (unsigned char)*text < 0x20 || *text == 0x7f ? "?" : text, 1);
		}
	}
}

static void write_bytes(struct buf *out, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		buf_printf(out, "%" PRIu64 " B", bytes);
		return;
	}
	for (value /= 1024; value >= 1024; value /= 1024)
		unit++;
	buf_printf(out, "%.1f %s", value, units[unit]);
}

static void write_heading(const struct page *page)
{
	if (!page->target) {
		buf_add_str(page->out, "all targets");
		return;
	}
	buf_printf(page->out, "process %d, ", (int)page->target->pid);
	write_escaped(page->out, page->target->comm);
}

static void write_state(const struct status_kind *kind, struct buf *out)
{
	static const struct {
		const char *class, *text;
	} states[] = {
		[STATUS_OFF] = { "off", "off" },
		[STATUS_ON] = { "on", "on" },
		[STATUS_UNSUPPORTED] = { "unsupported", "unsupported" },
	};

	buf_printf(out, "<td><span class=\"state %s\">%s</span>", states[kind->state].class,
		   states[kind->state].text);
	if (kind->reason[0] != '\0') {
		buf_add_str(out, " <span class=\"reason\">");
		write_escaped(out, kind->reason);
		buf_add_str(out, "</span>");
	}
	buf_add_str(out, "</td>");
}

/* The counts are of all targets together, so that one target's page has none. */
static void write_kinds(const struct page *page)
{
	for (enum kind i = 0; i < KIND_COUNT; i++) {
		const struct kind_info *info = kind_info(i);
		const struct status_kind *kind = &page->status->kinds[i];
		bool is_on = kind->state == STATUS_ON;

		buf_add_str(page->out, "<tr><th scope=\"row\">");
		if (is_on)
			buf_printf(page->out, "<a href=\"%s%s\">%s</a>", info->name,
				   i == KIND_PROFILE ? "" : "?debug=1", info->name);
		else
			buf_add_str(page->out, info->name);
		buf_add_str(page->out, "</th><td class=\"number\">");
		if (is_on && !page->target)
			buf_printf(page->out, "%" PRIu64, kind->rows);
		buf_add_str(page->out, "</td>");
		write_state(kind, page->out);
		buf_printf(page->out, "<td>%s</td></tr>\n", info->about);
	}
}

static void write_target_memory(const struct status_target *target, struct buf *out)
{
	bool has_heap = target->allocator[0] != '\0' || target->source[0] != '\0';

	buf_add_str(out, "<td>");
	write_escaped(out, target->allocator);
	buf_add_str(out, "</td><td class=\"number\">");
	if (has_heap) {
		buf_add_str(out, target->inuse_is_cut ? "at least " : "");
		write_bytes(out, target->inuse_bytes);
	}
	buf_add_str(out, "</td><td class=\"number\">");
	if (target->rss_bytes > 0)
		write_bytes(out, target->rss_bytes);
	buf_add_str(out, "</td><td class=\"number\">");
	if (target->threads > 0)
		buf_printf(out, "%" PRIu64 " (%" PRIu64 " made)", target->threads,
			   target->threads_created);
	buf_add_str(out, "</td>");
}

/* Links are relative, so that they work behind a proxy that adds a prefix. */
static void write_target(const struct page *page, const struct status_target *target)
{
	const char *up = page->target ? "../../../../" : "../../";
	struct buf *out = page->out;

	buf_printf(out,
		   "<tr><th scope=\"row\" class=\"number\">"
		   "<a href=\"%spid/%d/debug/pprof/\">%d</a></th><td>",
		   up, (int)target->pid, (int)target->pid);
	write_escaped(out, target->comm);
	buf_add_str(out, "</td><td class=\"path\">");
	write_escaped(out, target->exe);
	buf_add_str(out, "</td>");
	write_target_memory(target, out);
	buf_add_str(out, "<td>");
	if (target->has_ended) {
		buf_add_str(out, "<span class=\"state off\">ended</span>");
	} else if (target->waiting_for[0] != '\0') {
		buf_add_str(out, "<span class=\"state unsupported\">waits</span> "
				 "<span class=\"reason\">");
		write_escaped(out, target->waiting_for);
		buf_add_str(out, "</span>");
	} else if (target->budget_step != 0) {
		buf_printf(out,
			   "<span class=\"state on\">attached</span> <span class=\"reason\">"
			   "allocations: %s, to keep within the budget</span>",
			   target->budget_step == BUDGET_SLICES ? "in slices of time"
								: "no longer");
	} else {
		buf_add_str(out, "<span class=\"state on\">attached</span> "
				 "<span class=\"reason\">");
		write_escaped(out, target->refusal);
		buf_add_str(out, "</span>");
	}
	buf_add_str(out, "</td></tr>\n");
}

static void write_targets(const struct page *page)
{
	if (page->target) {
		write_target(page, page->target);
		return;
	}
	for (size_t i = 0; i < page->status->target_count; i++)
		write_target(page, &page->status->targets[i]);
	if (page->status->target_count == 0)
		buf_add_str(page->out, "<tr><td colspan=\"7\">No process is profiled now.</td>"
				       "</tr>\n");
}

static void write_losses(const struct page *page)
{
	bool has_any = false;

	for (size_t i = 0; i < page->status->lost_count; i++) {
		const struct status_counter *lost = &page->status->lost[i];

		if (lost->value == 0)
			continue;
		buf_printf(page->out, "<li>%" PRIu64 " of %s: ", lost->value, lost->kind);
		write_escaped(page->out, lost->label);
		buf_add_str(page->out, "</li>\n");
		has_any = true;
	}
	if (!has_any)
		buf_add_str(page->out, "<li>none</li>\n");
}

/* From a page to the root that its links to other pages start at. */
static void write_root(const struct page *page)
{
	buf_add_str(page->out, page->target ? "../../../../" : "../../");
}

static void write_version(const struct page *page)
{
	buf_add_str(page->out, PPROFD_VERSION);
}

static const struct {
	const char *name;
	void (*write)(const struct page *page);
} fillers[] = {
	{ "heading", write_heading }, { "kinds", write_kinds }, { "targets", write_targets },
	{ "losses", write_losses },   { "root", write_root },	{ "version", write_version },
};

static void fill(const struct page *page, const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++) {
		if (strlen(fillers[i].name) == len && memcmp(fillers[i].name, name, len) == 0)
			fillers[i].write(page);
	}
}

const struct status_target *index_find_target(const struct status *status, pid_t pid)
{
	const struct status_target *found = NULL;

	for (size_t i = 0; i < status->target_count; i++) {
		const struct status_target *target = &status->targets[i];

		if (target->pid == pid && (!found || !target->has_ended))
			found = target;
	}
	return found;
}

void index_write(const struct status *status, const struct status_target *target, struct buf *out)
{
	const struct page page = { .status = status, .target = target, .out = out };
	const char *at = _binary_web_index_html_start, *end = _binary_web_index_html_end;

	while (at < end) {
		const char *open = memmem(at, (size_t)(end - at), "{{", 2);
		const char *close = open ? memmem(open, (size_t)(end - open), "}}", 2) : NULL;

		if (!close) {
			buf_add(out, at, (size_t)(end - at));
			return;
		}
		buf_add(out, at, (size_t)(open - at));
		fill(&page, open + 2, (size_t)(close - open) - 2);
		at = close + 2;
	}
}
