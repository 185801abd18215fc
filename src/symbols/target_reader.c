/*
 * Targets of descriptors. See target_reader.h.
 */
#include "symbols/target_reader.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "symbols/process_folder.h"

void target_reader_init(struct target_reader *reader)
{
	*reader = (struct target_reader){.folder_fd = -1};
}

void target_reader_clear(struct target_reader *reader)
{
	fd_close(&reader->folder_fd);
	reader->known = false;
}

static void find_folder(struct target_reader *reader, uint32_t process_id, uint64_t start_ns)
{
	fd_close(&reader->folder_fd);
	reader->folder_fd = process_folder_open(process_id, start_ns);
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
