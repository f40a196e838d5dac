// SPDX-License-Identifier: Apache-2.0
// parked: threads of ARGV[1] that wait for a condition, a lock or the time, until the end of stdin.
#include <chrono>
#include <condition_variable>
#include <functional>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pool
{
class Queue
{
    public:
	void wait()
	{
		std::unique_lock<std::mutex> held(mutex);
		condition.wait(held, [this] { return has_ended; });
	}

    private:
	std::mutex mutex;
	std::condition_variable condition;
	bool has_ended = false;
};

template <typename Work> void descend(unsigned depth, Work work)
{
	if (depth > 0)
		descend(depth - 1, work);
	else
		work();
	asm volatile("" ::: "memory"); // no tail call
}
} // namespace pool

static pool::Queue queue;
static std::mutex locked;

static void run(unsigned number)
{
	const std::function<void()> ways[] = {
		[] { queue.wait(); },
		[] { std::lock_guard<std::mutex> held(locked); },
		[] { std::this_thread::sleep_for(std::chrono::hours(100)); },
	};

	pool::descend(number % 7, ways[number % 3]);
}

int main(int argc, char **argv)
{
	std::vector<std::thread> threads;

	locked.lock();
	for (unsigned i = 0; i < (argc > 1 ? std::stoul(argv[1]) : 30); i++)
		threads.emplace_back(run, i);
	std::this_thread::sleep_for(std::chrono::milliseconds(200));
	std::cout << "ready" << std::endl;
	for (std::string line; std::getline(std::cin, line);)
		;
	std::quick_exit(0);
}
