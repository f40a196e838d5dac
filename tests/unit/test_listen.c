// SPDX-License-Identifier: Apache-2.0
#include "http/listen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

static void addresses_with_a_port_are_understood(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} rows[] = {
		{ "127.0.0.1:6060", "127.0.0.1", "6060" },
		{ "localhost:0", "localhost", "0" },
		{ "[::1]:65535", "::1", "65535" },
		{ "[fe80::1%eth0]:6060", "fe80::1%eth0", "6060" },
		{ ":6060", "", "6060" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct listen_address address;

		assert_int_equal(listen_parse(rows[i].text, &address), 0);
		assert_false(address.is_unix);
		assert_string_equal(address.host, rows[i].host);
		assert_string_equal(address.port, rows[i].port);
	}
}

static void a_unix_socket_is_an_absolute_path(void **state)
{
	struct listen_address address;
	char text[200] = "unix:/";

	(void)state;
	assert_int_equal(listen_parse("unix:/run/a:b.sock", &address), 0);
	assert_true(address.is_unix);
	assert_string_equal(address.path, "/run/a:b.sock");
	assert_int_equal(listen_parse("unix:run/a.sock", &address), -EINVAL);
	assert_int_equal(listen_parse("unix:", &address), -EINVAL);

	memset(text + 6, 'x', sizeof(address.path) - 2);
	assert_int_equal(listen_parse(text, &address), 0);
	strcat(text, "x");
	assert_int_equal(listen_parse(text, &address), -EINVAL);
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const texts[] = {
		"",	   "6060",	"localhost", "localhost:", "localhost:http", "::1:6060",
		"[::1]",   "[::1]6060", "[]:6060",   "[::1:6060",  "host:65536",     "host:123456",
		"host:-1", "host: 80",	"host:+80",  "a:b:80",	   "http://h:80",    "host:80/path",
	};
	struct listen_address address;
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (listen_parse(texts[i], &address) != -EINVAL)
			fail_msg("%s is taken for an address", texts[i]);
	}
	memset(text, 'h', 256);
	strcpy(text + 256, ":80");
	assert_int_equal(listen_parse(text, &address), -EINVAL);
}

static void an_error_says_what_to_write(void **state)
{
	struct listener listener;
	char error[200];

	(void)state;
	assert_int_equal(listen_open("6060", &listener, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "--listen 6060: not an address; write host:port, [v6]:port or "
				   "unix:/path");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_with_a_port_are_understood),
		cmocka_unit_test(a_unix_socket_is_an_absolute_path),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(an_error_says_what_to_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
