/*
 * Targets of descriptors. See target_reader.h.
 */
#include "symbols/target_reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define STAT_BYTES 1024

void target_reader_init(struct target_reader *reader)
{
	*reader = (struct target_reader){.folder_fd = -1};
}

void target_reader_clear(struct target_reader *reader)
{
	fd_close(&reader->folder_fd);
	reader->known = false;
}

/* @return whether the process of that folder had started by then */
static bool had_started(int folder_fd, uint64_t start_ns)
{
	uint64_t tick_ns = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
	FD_OWNED int fd = openat(folder_fd, "stat", O_RDONLY | O_CLOEXEC);
	unsigned long long ticks;
	char text[STAT_BYTES];
	const char *rest;
	ssize_t length;

	if (fd < 0)
		return false;
	length = read(fd, text, sizeof(text) - 1);
	if (length <= 0)
		return false;
	text[length] = '\0';
	/* The name may have brackets of its own. */
	rest = strrchr(text, ')');
	/* Fields 3 to 22 (proc(5)). */
	if (!rest ||
	    sscanf(rest + 1,
	           " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
	           &ticks) != 1)
		return false;
	return ticks <= start_ns / tick_ns;
}

static void find_folder(struct target_reader *reader, uint32_t process_id, uint64_t start_ns)
{
	char path[32];

	fd_close(&reader->folder_fd);
	(void)snprintf(path, sizeof(path), "/proc/%u", process_id);
	reader->folder_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (reader->folder_fd >= 0 && !had_started(reader->folder_fd, start_ns))
		fd_close(&reader->folder_fd);
	reader->process_id = process_id;
	reader->start_ns = start_ns;
	reader->known = true;
}

bool target_reader_read(struct target_reader *reader, uint32_t process_id, uint64_t start_ns, int fd,
                        char *to, size_t bytes)
{
	char name[32];
	ssize_t length;

	if (!reader->known || reader->process_id != process_id || reader->start_ns != start_ns)
		find_folder(reader, process_id, start_ns);
	if (reader->folder_fd < 0)
		return false;
	(void)snprintf(name, sizeof(name), "fd/%d", fd);
	length = readlinkat(reader->folder_fd, name, to, bytes - 1);
	if (length < 0)
		return false;
	to[length] = '\0';
	return true;
}
