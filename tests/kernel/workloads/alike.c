/*
 * Opens and closes /dev/null on stacks that look alike and are not: of callers whose frames are of one size,
 * near the call and far from it; of frames that grow as they run and come to the same sum; with rbp as frame
 * pointer and as any register; left by longjmp; in signal handlers, on a stack of their own too; of threads
 * that get each other's stacks; of coroutines that swap theirs; and with another file mapped in place of the
 * program's own code. Usage: alike TURNS COPY, a copy of this program. Output: how often its code was
 * replaced.
 */
#include <alloca.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define APART         __attribute__((noinline, noclone))
#define THREADS       4
#define ROUNDS        20
#define SWAPS         100
#define STACK_BYTES   65536
#define GROWTH_BYTES  256
#define GROWTH_STEP   16
#define GROWTH_CHOICE 8

static volatile int sink;

APART static int leaf(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : close(fd);
}

#define NEAR(name, words, below)                \
	APART static int name(int turn)         \
	{                                       \
		volatile int local[words];      \
                                                \
		local[turn & 7] = turn;         \
		return below + local[turn & 7]; \
	}

NEAR(near_a, 8, leaf())
NEAR(near_b, 8, leaf())
NEAR(between, 40, near_a(turn))
NEAR(far_a, 8, between(turn))
NEAR(far_b, 8, between(turn))

APART static int grow_rest(int bytes)
{
	volatile char *local = alloca((size_t)bytes);

	local[0] = 1;
	return leaf() + local[0];
}

APART static int grow(int bytes)
{
	volatile char *local = alloca((size_t)bytes);

	local[0] = 1;
	return grow_rest(GROWTH_BYTES - bytes) + local[0];
}

APART static int branch(int depth, int bits)
{
	volatile int local[3];

	local[bits & 1] = depth;
	if (!depth)
		return leaf();
	if (bits & 1)
		return branch(depth - 1, bits >> 1) + local[1];
	return near_a(bits) + branch(depth - 1, bits >> 1) + local[0];
}

static jmp_buf way_back;

APART static int jump(int depth)
{
	volatile char local[64];

	local[depth & 7] = 1;
	if (!depth && !leaf())
		longjmp(way_back, 1);
	return depth ? jump(depth - 1) + local[depth & 7] : -1;
}

static void on_signal(int signal)
{
	(void)signal;
	sink += branch(3, sink);
}

static void *run_thread(void *unused)
{
	(void)unused;
	for (int i = 0; i < SWAPS; i++)
		sink += branch(5, i);
	return NULL;
}

static ucontext_t main_context, contexts[2];

static void coroutine(int number)
{
	for (int i = 0; i < SWAPS; i++) {
		sink += number ? far_b(i) : far_a(i);
		sink += leaf();
		(void)swapcontext(&contexts[number], &contexts[!number]);
	}
}

static void run_turn(unsigned random)
{
	int bits = (int)(random >> 8 & 0xffff);

	switch (random % 9) {
	case 0:
		sink += near_a(bits);
		break;
	case 1:
		sink += near_b(bits);
		break;
	case 2:
		sink += far_a(bits);
		break;
	case 3:
		sink += far_b(bits);
		break;
	case 4:
		sink += grow(GROWTH_STEP + GROWTH_STEP * (bits % GROWTH_CHOICE));
		break;
	case 5:
		if (!setjmp(way_back))
			sink += jump(bits % 5);
		break;
	case 6:
		(void)raise(SIGUSR1);
		break;
	case 7:
		(void)raise(SIGUSR2);
		break;
	default:
		sink += branch(6, bits);
	}
}

static void run_threads(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, run_thread, NULL))
			abort();
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
}

static void run_coroutines(char *stacks[2], int swapped)
{
	for (int i = 0; i < 2; i++) {
		(void)getcontext(&contexts[i]);
		contexts[i].uc_stack.ss_sp = stacks[i ^ swapped];
		contexts[i].uc_stack.ss_size = STACK_BYTES;
		contexts[i].uc_link = &main_context;
		makecontext(&contexts[i], (void (*)(void))coroutine, 1, i);
	}
	(void)swapcontext(&main_context, &contexts[0]);
}

struct code {
	void *start;
	size_t bytes;
	off_t offset;
};

/* The first object is the program itself. */
static int find_code(struct dl_phdr_info *object, size_t bytes, void *found)
{
	struct code *code = found;

	(void)bytes;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];
		uintptr_t page = header->p_vaddr & ~(uintptr_t)4095;

		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
			continue;
		code->start = (void *)(object->dlpi_addr + page);
		code->bytes = header->p_vaddr + header->p_memsz - page;
		code->offset = (off_t)(header->p_offset & ~(uintptr_t)4095);
	}
	return 1;
}

/* The bytes are the same, so the program goes on where it is. @return how often it was replaced */
static int run_replaced(const char *copy, int turns)
{
	struct code code = {0};
	int files[2] = {open("/proc/self/exe", O_RDONLY | O_CLOEXEC), open(copy, O_RDONLY | O_CLOEXEC)};
	int replaced = 0;

	(void)dl_iterate_phdr(find_code, &code);
	if (files[0] < 0 || files[1] < 0 || !code.start)
		return 0;
	for (int i = 0; i < turns; i++) {
		replaced += mmap(code.start, code.bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED,
		                 files[i & 1], code.offset) == code.start;
		sink += near_a(i) + far_a(i) + far_a(i);
	}
	return replaced;
}

int main(int argc, char **argv)
{
	int turns = argc == 3 ? atoi(argv[1]) : 0;
	stack_t alternate = {.ss_sp = malloc(STACK_BYTES), .ss_size = STACK_BYTES};
	struct sigaction here = {.sa_handler = on_signal},
	                 there = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	char *stacks[2] = {malloc(STACK_BYTES), malloc(STACK_BYTES)};

	if (turns <= 0 || !alternate.ss_sp || !stacks[0] || !stacks[1] || sigaltstack(&alternate, NULL) ||
	    sigaction(SIGUSR1, &here, NULL) || sigaction(SIGUSR2, &there, NULL)) {
		(void)fprintf(stderr, "usage: alike TURNS COPY\n");
		return 2;
	}
	srand(1);
	for (int i = 0; i < turns; i++)
		run_turn((unsigned)rand());
	for (int i = 0; i < ROUNDS; i++) {
		run_threads();
		run_coroutines(stacks, i & 1);
	}
	(void)printf("%d\n", run_replaced(argv[2], turns / 10));
	return 0;
}
