/*
 * A compiler of two functions: jit_outer and jit_inner, in memory that no file is mapped to. Each keeps a
 * frame pointer, and calls what it is given. A file is opened below both, COUNT times, and stays open. Usage:
 * generated [COUNT [map|looked]] With "map" it writes what is where into /tmp/perf-PID.map, as JIT compilers
 * do; with "looked" it also goes on until somebody has opened that file, as what is in a mount namespace goes
 * with its last process.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where the code is, so that tests can write maps of it too. */
#define CODE_ADDRESS 0x200000000ULL
#define OUTER_AT     0
#define INNER_AT     0x100
#define CODE_BYTES   4096
#define DEADLINE_MS  30000

typedef void called_fn(void);
typedef void code_fn(called_fn *called);

/* push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret */
static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};

static char *memory;

static __attribute__((noinline)) void fail(const char *what)
{
	perror(what);
	exit(1);
}

static __attribute__((noinline)) void open_it(void)
{
	/* libc's other functions use the frame pointer for something else. */
	long fd = syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail("open");
	__asm__ volatile("");
}

static __attribute__((noinline)) void call_inner(void)
{
	((code_fn *)(void *)(memory + INNER_AT))(open_it);
	__asm__ volatile("");
}

static void write_map(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		fail(path);
	fprintf(file, "%llx %zx jit_outer\n", CODE_ADDRESS + OUTER_AT, sizeof(code));
	fprintf(file, "%llx %zx jit_inner\n", CODE_ADDRESS + INNER_AT, sizeof(code));
	if (fclose(file))
		fail(path);
}

static void make_code(void)
{
	memory = mmap((void *)CODE_ADDRESS, CODE_BYTES, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (memory == MAP_FAILED)
		fail("mmap");
	memcpy(memory + OUTER_AT, code, sizeof(code));
	memcpy(memory + INNER_AT, code, sizeof(code));
	if (mprotect(memory, CODE_BYTES, PROT_READ | PROT_EXEC))
		fail("mprotect");
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1, inotify_fd = -1;
	const char *mode = argc > 2 ? argv[2] : "";
	char path[64];

	make_code();
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	if (mode[0])
		write_map(path);
	if (!strcmp(mode, "looked")) {
		inotify_fd = inotify_init1(IN_CLOEXEC);
		if (inotify_fd < 0 || inotify_add_watch(inotify_fd, path, IN_OPEN) < 0)
			fail("inotify");
	}
	for (int i = 0; i < count; i++)
		((code_fn *)(void *)(memory + OUTER_AT))(call_inner);
	if (inotify_fd >= 0 &&
	    poll(&(struct pollfd){.fd = inotify_fd, .events = POLLIN}, 1, DEADLINE_MS) != 1) {
		fprintf(stderr, "nobody has opened %s\n", path);
		return 1;
	}
	/* Those that were made stay open; the shell's are none of them. */
	if (inotify_fd >= 0)
		close(inotify_fd);
	return 0;
}
