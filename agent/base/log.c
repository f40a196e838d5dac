// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_BYTES 1024

static enum log_level log_least = LOG_INFO;
static bool log_json;

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARN] = "warn",
	[LOG_ERROR] = "error",
};

void log_setup(enum log_level least, bool json)
{
	log_least = least;
	log_json = json;
}

/* Both formats quote the message alike: the escapes of JSON are read by logfmt readers too. */
static void escape_text(char *out, size_t cap, const char *text)
{
	size_t len = 0;

	for (; *text != '\0' && len + 7 < cap; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\') {
			out[len++] = '\\';
			out[len++] = (char)c;
		} else if (c < 0x20 || c == 0x7f) {
			len += (size_t)snprintf(out + len, cap - len, "\\u%04x", c);
		} else {
			out[len++] = (char)c;
		}
	}
	out[len] = '\0';
}

void log_write(enum log_level level, const char *format, ...)
{
	char text[LOG_LINE_BYTES], quoted[LOG_LINE_BYTES], line[LOG_LINE_BYTES + 128], when[32];
	struct timespec now;
	struct tm utc;
	va_list args;
	int len;

	if (level < log_least)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	escape_text(quoted, sizeof(quoted), text);

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &utc);
	len = snprintf(line, sizeof(line),
		       log_json ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"msg\":\"%s\"}\n"
				: "time=%s.%03ldZ level=%s msg=\"%s\"\n",
		       when, now.tv_nsec / 1000000, level_names[level], quoted);
	/* One write a line, so that lines of several threads never mix. */
	if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
		return; /* nowhere left to report it */
}
