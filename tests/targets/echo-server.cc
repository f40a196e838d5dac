// SPDX-License-Identifier: Apache-2.0
/*
 * echo-server SOCKET: answers every line with the same line, each connection in a thread of its
 * own, by way of containers that allocate. The end of stdin ends it.
 */
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static std::string work(const std::string &line)
{
	std::map<int, std::unique_ptr<std::string>> parts;
	std::string answer;

	for (std::size_t i = 0; i < line.size(); i++)
		parts[static_cast<int>(i)] = std::make_unique<std::string>(64 + i, line[i]);
	for (const auto &part : parts)
		answer += part.second->front();
	return answer;
}

static bool send_all(int fd, const std::string &text)
{
	std::size_t sent = 0;

	while (sent < text.size()) {
		ssize_t done = write(fd, text.data() + sent, text.size() - sent);

		if (done <= 0)
			return false;
		sent += static_cast<std::size_t>(done);
	}
	return true;
}

static void serve(int fd)
{
	std::string waiting;
	char buffer[512];
	ssize_t got;

	while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
		waiting.append(buffer, static_cast<std::size_t>(got));
		for (std::size_t end; (end = waiting.find('\n')) != std::string::npos;) {
			if (!send_all(fd, work(waiting.substr(0, end)) + "\n"))
				break;
			waiting.erase(0, end + 1);
		}
	}
	/* Nothing that a program relies on may fail because it was looked at. */
	if (got < 0)
		std::perror("read");
	close(fd);
}

static void accept_all(int listener)
{
	for (;;) {
		int fd = accept(listener, nullptr, nullptr);

		if (fd < 0) {
			std::perror("accept");
			_exit(1);
		}
		std::thread(serve, fd).detach();
	}
}

int main(int argc, char **argv)
{
	sockaddr_un address = {};
	char byte;
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	address.sun_family = AF_UNIX;
	std::strncpy(address.sun_path, argc > 1 ? argv[1] : "", sizeof(address.sun_path) - 1);
	if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof(address)) ||
	    listen(listener, 16))
		return 2;
	std::thread(accept_all, listener).detach();
	std::puts("ready");
	std::fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	_exit(0);
}
