/*
 * Stacks of C++: threads, templates, virtual calls, exceptions in flight; a call that opens or maps at the end
 * of each. Usage: stacks_threads. Outputs: none; what it makes stays open.
 */
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#define SHAPE __attribute__((noipa))

static SHAPE int make()
{
	int fd = open("/dev/null", O_RDONLY);
	void *page = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return fd + (page != MAP_FAILED);
}

/* Opens as it goes, with an exception in flight or without. */
template <size_t Bytes> struct Guard {
	volatile char room[Bytes] = {};
	SHAPE ~Guard() { make(); }
};

/* Opens as it is copied, which a throw does. */
struct Failure : std::runtime_error {
	explicit Failure(const std::string &what) : std::runtime_error(what) {}
	SHAPE Failure(const Failure &other) : std::runtime_error(other) { make(); }
};

template <typename Number, int Depth> SHAPE Number descend(Number value)
{
	volatile Number room[Depth + 1] = {};

	if constexpr (Depth == 0)
		return value + make();
	else
		return descend<Number, Depth - 1>(value) + room[Depth / 2];
}

struct Shape {
	virtual ~Shape() = default;
	virtual int area(int depth) = 0;
};

struct Base {
	virtual ~Base() = default;
	virtual int weight() { return 1; }
	long words[5] = {};
};

/* By its second base: called through a thunk. */
struct Square : Base, Shape {
	SHAPE int area(int depth) override { return depth ? area(depth - 1) + weight() : make(); }
};

static SHAPE void throw_at(int depth)
{
	Guard<40> guard;

	if (!depth) {
		Failure failure("at the bottom");

		throw failure;
	}
	throw_at(depth - 1);
}

static SHAPE int catch_at(int depth)
{
	try {
		throw_at(depth);
	} catch (const std::exception &error) {
		return make() + error.what()[0];
	}
	return 0;
}

/* What is caught goes on, from a handler and from within another's. */
static SHAPE void rethrow(int depth)
{
	try {
		if (!depth)
			throw std::logic_error("again");
		rethrow(depth - 1);
	} catch (...) {
		make();
		throw;
	}
}

static SHAPE int nested()
{
	try {
		try {
			rethrow(2);
		} catch (const std::logic_error &error) {
			Guard<8> guard;

			std::throw_with_nested(Failure(error.what()));
		}
	} catch (const std::exception &error) {
		return catch_at(1);
	}
	return 0;
}

/* The unlikely half of a function is elsewhere: .cold. */
static SHAPE int partly_cold(int value)
{
	volatile char room[72] = {};

	if (__builtin_expect(value > 3, 0)) {
		std::string text(static_cast<size_t>(value), 'x');

		if (text[0] == 'y')
			std::abort();
		throw std::out_of_range(text + std::to_string(make()));
	}
	return room[value];
}

static SHAPE void work(int number)
{
	std::vector<int> values = {4, 2, 3, 1};
	std::map<std::string, std::function<int(int)>> calls;
	std::unique_ptr<Shape> shape = std::make_unique<Square>();
	int compared = 0;

	descend<int, 3>(number);
	descend<double, 5>(number);
	std::sort(values.begin(), values.end(), [&](int a, int b) { return (compared++ ? 0 : make() * 0) + a < b; });
	calls["lambda"] = [number](int depth) { return depth + descend<long, 2>(number); };
	calls["bound"] = std::bind(&Shape::area, shape.get(), std::placeholders::_1);
	for (auto &call : calls)
		call.second(number % 3);
	catch_at(number);
	nested();
	try {
		partly_cold(5 + number);
	} catch (const std::out_of_range &) {
		make();
	}
}

struct at_exit_of_thread {
	SHAPE ~at_exit_of_thread() { make(); }
};

static thread_local at_exit_of_thread leaving;

int main()
{
	std::once_flag once;
	std::vector<std::thread> threads;

	for (int number = 0; number < 3; number++)
		threads.emplace_back([number, &once] {
			(void)&leaving;
			std::call_once(once, [] { make(); });
			work(number);
		});
	for (std::thread &thread : threads)
		thread.join();
	auto later = std::async(std::launch::async, [] { return catch_at(2); });
	later.get();
	std::packaged_task<int(int)> task([](int depth) { return descend<short, 4>((short)depth); });
	task(1);
	syscall(SYS_exit_group, 0);
}
