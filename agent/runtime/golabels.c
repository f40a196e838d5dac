// SPDX-License-Identifier: Apache-2.0
#include "runtime/golabels.h"

#include "runtime/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOLABELS_MOST 256U /* in a set; more is damage */
#define GOLABELS_SLICED 24U /* the first Go 1.N whose sets are slices */

/* A Go string's header, and a pair of them. */
struct string {
	uint64_t address, len;
};
struct pair {
	struct string key, value;
};

/* Up to 1.23, the runtime's own hash map: runtime/map.go. */
#define HMAP_SLOTS 8U
#define HMAP_FEWEST 5U /* tophash values below tell of free and moved slots */
#define HMAP_MOST_LOG2 8U
#define HMAP_CHAIN 16U /* overflow buckets in a row; more is damage */
#define HMAP_SPARE 2U /* overflow buckets for each other: with one for each, maps are made anew */
#define HMAP_SAME_SIZE 8U /* flag: the buckets that it moves out of are as many */

struct hmap {
	uint64_t count;
	uint8_t flags, log2_buckets;
	uint16_t noverflow;
	uint32_t hash0;
	uint64_t buckets, oldbuckets;
};

struct hmap_bucket {
	uint8_t tophash[HMAP_SLOTS];
	struct string keys[HMAP_SLOTS], values[HMAP_SLOTS];
	uint64_t overflow;
};
_Static_assert(sizeof(struct hmap_bucket) == 272, "as the compiler lays it out");

/* Cuts a text that does not fit where no character is torn. */
static size_t cut_len(const char *text, size_t len)
{
	if (len < GOLABELS_TEXT_BYTES)
		return len;
	len = GOLABELS_TEXT_BYTES - 1;
	while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
		len--;
	return len;
}

static int read_text(struct remote *remote, const struct string *string,
		     char text[GOLABELS_TEXT_BYTES])
{
	size_t len = string->len < GOLABELS_TEXT_BYTES ? string->len : GOLABELS_TEXT_BYTES;
	int err = len ? remote_read(remote, string->address, text, len) : 0;

	if (err)
		return err;
	text[cut_len(text, len)] = '\0';
	return 0;
}

static int add_pair(struct remote *remote, const struct pair *pair, struct golabels *out)
{
	char(*texts)[GOLABELS_TEXT_BYTES];
	int err;

	if (out->count == GOLANG_MAX_LABELS) {
		out->dropped++;
		return 0;
	}
	texts = out->texts[out->count];
	err = read_text(remote, &pair->key, texts[0]);
	if (!err)
		err = read_text(remote, &pair->value, texts[1]);
	if (err)
		return err;
	out->labels[out->count++] = (struct golang_label){ .key = texts[0], .value = texts[1] };
	return 0;
}

static int read_slice(struct remote *remote, uint64_t address, struct golabels *out)
{
	struct pair pairs[GOLANG_MAX_LABELS];
	uint64_t header[3]; /* address, length, capacity */
	size_t count;
	int err = remote_read(remote, address, header, sizeof(header));

	if (err)
		return err;
	if (header[1] > header[2] || header[1] > GOLABELS_MOST)
		return -EBADMSG;
	count = header[1] < GOLANG_MAX_LABELS ? header[1] : GOLANG_MAX_LABELS;
	out->dropped = (uint32_t)(header[1] - count);
	if (count > 0)
		err = remote_read(remote, header[0], pairs, count * sizeof(*pairs));
	for (size_t i = 0; i < count && !err; i++)
		err = add_pair(remote, &pairs[i], out);
	return err;
}

/* A bucket and those that overflow from it, of which there may be *spare more in the map. */
static int read_chain(struct remote *remote, uint64_t address, unsigned *spare,
		      struct golabels *out)
{
	struct hmap_bucket bucket;
	int err = 0;

	for (unsigned depth = 0; address != 0 && !err; depth++) {
		if (depth == HMAP_CHAIN || (depth > 0 && *spare == 0))
			return -EBADMSG;
		*spare -= depth > 0;
		err = remote_read(remote, address, &bucket, sizeof(bucket));
		for (unsigned i = 0; i < HMAP_SLOTS && !err; i++) {
			struct pair pair = { bucket.keys[i], bucket.values[i] };

			if (bucket.tophash[i] >= HMAP_FEWEST)
				err = add_pair(remote, &pair, out);
		}
		address = bucket.overflow;
	}
	return err;
}

static int read_buckets(struct remote *remote, uint64_t buckets, unsigned log2_count,
			struct golabels *out)
{
	unsigned spare = HMAP_SPARE << log2_count;
	int err = 0;

	for (uint64_t i = 0; i < 1ULL << log2_count && !err; i++)
		err = read_chain(remote, buckets + i * sizeof(struct hmap_bucket), &spare, out);
	return err;
}

static int read_map(struct remote *remote, uint64_t address, struct golabels *out)
{
	struct hmap map;
	uint64_t where;
	unsigned halved; /* the buckets that it moves out of are half as many */
	int err = remote_read(remote, address, &where, sizeof(where));

	if (err || where == 0)
		return err;
	err = remote_read(remote, where, &map, sizeof(map));
	if (err)
		return err;
	halved = map.flags & HMAP_SAME_SIZE ? 0 : 1;
	if (map.count > GOLABELS_MOST || map.log2_buckets > HMAP_MOST_LOG2 ||
	    (map.oldbuckets != 0 && map.log2_buckets < halved))
		return -EBADMSG;
	if (map.count == 0 || map.buckets == 0)
		return 0;
	err = read_buckets(remote, map.buckets, map.log2_buckets, out);
	/* A large set may stay half grown. What has moved has no tophash any more where it was. */
	if (!err && map.oldbuckets != 0)
		err = read_buckets(remote, map.oldbuckets, map.log2_buckets - halved, out);
	if (!err && out->count + out->dropped != map.count)
		err = -EBADMSG;
	return err;
}

static int compare_keys(const void *a, const void *b)
{
	const struct golang_label *one = a, *other = b;

	return strcmp(one->key, other->key);
}

int golabels_read(struct remote *remote, unsigned minor, uint64_t address, struct golabels *out)
{
	int err;

	out->count = 0;
	out->dropped = 0;
	err = minor < GOLABELS_SLICED ? read_map(remote, address, out)
				      : read_slice(remote, address, out);
	if (err) {
		out->count = 0;
		return err;
	}
	qsort(out->labels, out->count, sizeof(out->labels[0]), compare_keys);
	return 0;
}
