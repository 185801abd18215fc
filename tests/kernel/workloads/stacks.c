/*
 * Stacks of all shapes, made without frame pointers: a call that opens or maps at the end of each. Usage:
 * stacks. Outputs: none; what it makes stays open.
 */
#include <alloca.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHAPE __attribute__((noipa, optimize("O2", "omit-frame-pointer")))

static SHAPE int make(void)
{
	int fd = open("/dev/null", O_RDONLY);
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return fd + (page != MAP_FAILED);
}

static SHAPE int recurse(int depth)
{
	volatile char room[40] = {0};

	return depth ? recurse(depth - 1) + room[depth & 7] : make();
}

static SHAPE int with_alloca(size_t bytes)
{
	char *room = alloca(bytes);

	memset(room, 1, bytes);
	return recurse(2) + room[bytes / 2];
}

static SHAPE int with_large_frame(void)
{
	volatile char room[1 << 19];

	room[0] = 1;
	return make() + room[0];
}

static SHAPE int compare(const void *a, const void *b)
{
	static bool made;

	if (!made)
		made = make() >= 0;
	return *(const int *)a - *(const int *)b;
}

static SHAPE void on_signal(int number)
{
	(void)number;
	make();
}

static SHAPE void on_own_stack(int number)
{
	(void)number;
	with_alloca(64);
}

static SHAPE void *in_thread(void *argument)
{
	(void)argument;
	with_alloca(333);
	raise(SIGUSR1);
	return NULL;
}

static SHAPE int by_many(int a, int b, int c, int d, int e, int f, int g, int h)
{
	return a + b + c + d + e + f + g + h > 0 ? recurse(1) : make();
}

static void handle(int number, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	sigaction(number, &action, NULL);
}

int main(void)
{
	int numbers[] = {3, 1, 2};
	stack_t own = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
	pthread_t thread;

	make();
	for (int depth = 1; depth < 8; depth++)
		recurse(depth);
	recurse(90);
	for (size_t bytes = 16; bytes < 100000; bytes *= 5)
		with_alloca(bytes);
	with_large_frame();
	by_many(1, 2, 3, 4, 5, 6, 7, 8);
	qsort(numbers, 3, sizeof(numbers[0]), compare);
	handle(SIGUSR1, on_signal, 0);
	raise(SIGUSR1);
	sigaltstack(&own, NULL);
	handle(SIGUSR2, on_own_stack, SA_ONSTACK);
	raise(SIGUSR2);
	pthread_create(&thread, NULL, in_thread, NULL);
	pthread_join(thread, NULL);
	syscall(SYS_exit_group, 0);
	return 0;
}
