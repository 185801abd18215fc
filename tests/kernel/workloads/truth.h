/*
 * The truth that a workload tells of itself: what /proc says that it holds, read by system calls into static
 * memory, so that reading makes no handle that stays.
 * Outputs: one JSON object a line on standard output, each written by one call.
 */
#ifndef LEFTOPEN_WORKLOADS_TRUTH_H
#define LEFTOPEN_WORKLOADS_TRUTH_H

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A system call made by the function that this stands in: libc's wrappers keep no frame pointer, and the
 * frame of who called them would be missing in a stack by frame pointers. */
#define KERNEL_CALL(number, a, b, c, d, e, f)                                                             \
	({                                                                                                \
		/* Frame pointers reach the caller only where this function has set up its own before. */ \
		__asm__ volatile("" ::"r"(__builtin_frame_address(0)));                                   \
		/* First all of them: a call among the arguments would use the registers. */              \
		long a_ = (long)(a), b_ = (long)(b), c_ = (long)(c), d_ = (long)(d), e_ = (long)(e),      \
		     f_ = (long)(f);                                                                      \
		register long r10_ __asm__("r10") = d_;                                                   \
		register long r8_ __asm__("r8") = e_;                                                     \
		register long r9_ __asm__("r9") = f_;                                                     \
		long result_;                                                                             \
		__asm__ volatile("syscall"                                                                \
		                 : "=a"(result_)                                                          \
		                 : "a"((long)(number)), "D"(a_), "S"(b_), "d"(c_), "r"(r10_), "r"(r8_),   \
		                   "r"(r9_)                                                               \
		                 : "rcx", "r11", "memory");                                               \
		result_;                                                                                  \
	})
#define KERNEL_CALL4(number, a, b, c, d) KERNEL_CALL(number, a, b, c, d, 0, 0)

#define MUST(condition)                                                                                 \
	do {                                                                                            \
		if (!(condition)) {                                                                     \
			dprintf(2, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno)); \
			_exit(99);                                                                      \
		}                                                                                       \
	} while (0)

#define TRUTH_NUMBERS_MAX 4096
#define TRUTH_TEXT_BYTES  262144

struct truth_text {
	size_t length;
	char bytes[TRUTH_TEXT_BYTES];
};

struct truth_numbers {
	size_t count;
	int items[TRUTH_NUMBERS_MAX];
};

/* One a process: a fork's child has its own copy. Only one thread of a process reads its truth. */
static struct truth_text truth_line, truth_file;
static struct truth_numbers truth_inherited, truth_held;

static inline void truth_add(struct truth_text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text->bytes + text->length, sizeof(text->bytes) - text->length, format, arguments);
	va_end(arguments);
	MUST(length >= 0 && text->length + (size_t)length < sizeof(text->bytes));
	text->length += (size_t)length;
}

static inline void truth_write(void)
{
	truth_add(&truth_line, "}\n");
	MUST(write(1, truth_line.bytes, truth_line.length) == (ssize_t)truth_line.length);
}

static inline void truth_begin_line(const char *label)
{
	truth_line.length = 0;
	truth_add(&truth_line, "{\"label\": \"%s\", \"pid\": %d, \"ppid\": %d", label, getpid(), getppid());
}

/* The calling thread's table: that of a leader which is gone cannot be read. */
static inline void truth_read_numbers(struct truth_numbers *to)
{
	static char entries[8192] __attribute__((aligned(8)));
	int folder = (int)syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/fd",
	                          O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long bytes;

	MUST(folder >= 0);
	to->count = 0;
	while ((bytes = syscall(SYS_getdents64, folder, entries, sizeof(entries))) > 0) {
		for (long at = 0; at < bytes;) {
			const struct dirent64 *entry = (const void *)(entries + at);
			int fd = atoi(entry->d_name);

			at += entry->d_reclen;
			if (entry->d_name[0] == '.' || fd == folder)
				continue;
			MUST(to->count < TRUTH_NUMBERS_MAX);
			to->items[to->count++] = fd;
		}
	}
	MUST(!bytes && !syscall(SYS_close, folder));
}

/* What the process holds from now on without having made it. */
static inline void truth_begin(void)
{
	truth_read_numbers(&truth_inherited);
}

/* The first thing in main: only standard streams are there, whoever started the program. */
static inline void truth_begin_alone(void)
{
	MUST(!syscall(SYS_close_range, 3, ~0U, 0));
	truth_begin();
	MUST(truth_inherited.count == 3);
}

static inline bool truth_is_inherited(int fd)
{
	for (size_t i = 0; i < truth_inherited.count; i++)
		if (truth_inherited.items[i] == fd)
			return true;
	return false;
}

/* A number of which the process itself made another thing since. */
static inline void truth_made_anew(int fd)
{
	for (size_t i = 0; i < truth_inherited.count; i++)
		if (truth_inherited.items[i] == fd)
			truth_inherited.items[i] = -1;
}

static inline void truth_add_descriptors(void)
{
	const char *comma = "";

	truth_read_numbers(&truth_held);
	truth_add(&truth_line, ", \"held\": %zu, \"fds\": {", truth_held.count);
	for (size_t i = 0; i < truth_held.count; i++) {
		char link[64], target[512];
		ssize_t length;

		if (truth_is_inherited(truth_held.items[i]))
			continue;
		(void)snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", truth_held.items[i]);
		length = readlink(link, target, sizeof(target) - 1);
		MUST(length > 0);
		target[length] = '\0';
		truth_add(&truth_line, "%s\"%d\": \"%s\"", comma, truth_held.items[i], target);
		comma = ", ";
	}
	truth_add(&truth_line, "}");
}

/* What the process holds and did not begin with: the last that it does before it ends. */
static inline void truth_tell(const char *label)
{
	truth_begin_line(label);
	truth_add_descriptors();
	truth_write();
}

static inline void truth_read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes;

	MUST(fd >= 0);
	truth_file.length = 0;
	while ((bytes = read(fd, truth_file.bytes + truth_file.length,
	                     sizeof(truth_file.bytes) - 1 - truth_file.length)) > 0)
		truth_file.length += (size_t)bytes;
	MUST(!bytes && !close(fd));
	truth_file.bytes[truth_file.length] = '\0';
}

static inline void truth_add_segments(uint64_t base, const Elf64_Phdr *headers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t start = (base + headers[i].p_vaddr) & ~4095ULL;
		uint64_t end = (base + headers[i].p_vaddr + headers[i].p_memsz + 4095) & ~4095ULL;

		if (headers[i].p_type == PT_LOAD)
			truth_add(&truth_line, "%s[%llu, %llu]",
			          truth_line.bytes[truth_line.length - 1] == '[' ? "" : ", ",
			          (unsigned long long)start, (unsigned long long)end);
	}
}

/* What execve itself mapped of the program and of its loader (fs/binfmt_elf.c): each PT_LOAD in whole pages,
 * .bss included, by the headers that the kernel says it used (getauxval(3)). */
static inline void truth_add_image(void)
{
	const Elf64_Phdr *headers = (const void *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM);
	uint64_t loader = getauxval(AT_BASE), base = 0;

	for (size_t i = 0; i < count; i++)
		if (headers[i].p_type == PT_PHDR)
			base = (uint64_t)headers - headers[i].p_vaddr;
	truth_add(&truth_line, ", \"image\": [");
	truth_add_segments(base, headers, count);
	if (loader) {
		const Elf64_Ehdr *header = (const void *)loader;

		truth_add_segments(loader, (const void *)(loader + header->e_phoff), header->e_phnum);
	}
	truth_add(&truth_line, "]");
}

/* Every line of /proc's maps as [start, end, offset, "name"]. */
static inline void truth_add_mappings(void)
{
	const char *line, *separator = "";

	truth_read_file("/proc/thread-self/maps");
	truth_add(&truth_line, ", \"maps\": [");
	for (line = truth_file.bytes; *line; line = strchr(line, '\n') + 1) {
		unsigned long long start, end, offset;
		char name[512] = "";

		MUST(sscanf(line, "%llx-%llx %*s %llx %*s %*s%*[ ]%511[^\n]", &start, &end, &offset, name) >=
		     3);
		truth_add(&truth_line, "%s[%llu, %llu, %llu, \"%s\"]", separator, start, end, offset, name);
		separator = ", ";
	}
	truth_add(&truth_line, "]");
}

static inline void truth_tell_mappings(const char *label)
{
	truth_begin_line(label);
	truth_add_image();
	truth_add_mappings();
	truth_write();
}

#endif
