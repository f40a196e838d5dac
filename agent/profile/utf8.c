// SPDX-License-Identifier: Apache-2.0
#include "profile/utf8.h"

#include <stdint.h>

/* The least value that needs that many bytes: anything less is an overlong form. */
static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

static size_t lead_length(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc0)
		return 0;
	if (lead < 0xe0)
		return 2;
	if (lead < 0xf0)
		return 3;
	return lead < 0xf8 ? 4 : 0;
}

size_t utf8_measure(const char *text, size_t len)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t need = len > 0 ? lead_length(bytes[0]) : 0;
	uint32_t value;

	if (need > len || need <= 1)
		return need > len ? 0 : need;
	value = bytes[0] & (0x7fU >> need);
	for (size_t i = 1; i < need; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (bytes[i] & 0x3f);
	}
	if (value < least[need] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 0;
	return need;
}
