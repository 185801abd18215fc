/*
 * Files that processes map. See mapped_files.h.
 */
#include "symbols/mapped_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/fd.h"
#include "base/in_time.h"

struct mapped_file {
	struct file_key key;
	char *path;
	int fd;    /* -1: not open */
	bool late; /* it did not open in time, and is not tried again */
	UT_hash_handle hh;
};

struct mapped_files {
	struct mapped_file *by_key;
	size_t open_count;
	unsigned int late; /* openings that have not returned */
	int spare_fd;      /* what was opened last beyond MAPPED_FILES_OPEN_MAX, or -1 */
};

int mapped_files_new(struct mapped_files **ret_files)
{
	struct mapped_files *files = calloc(1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	files->spare_fd = -1;
	*ret_files = files;
	return 0;
}

void mapped_files_free(struct mapped_files *files)
{
	struct mapped_file *file, *next;

	if (!files)
		return;
	HASH_ITER (hh, files->by_key, file, next) {
		HASH_DEL(files->by_key, file);
		fd_close(&file->fd);
		free(file->path);
		free(file);
	}
	fd_close(&files->spare_fd);
	free(files);
}

static struct mapped_file *find(const struct mapped_files *files, const struct file_key *key)
{
	struct mapped_file *file;

	HASH_FIND(hh, files->by_key, key, sizeof(*key), file);
	return file;
}

struct opening {
	char *path;
	uint64_t inode;
	int fd;
	int error;
};

static void opening_release(void *context)
{
	struct opening *opening = context;

	fd_close(&opening->fd);
	free(opening->path);
	free(opening);
}

static void opening_make(void *context)
{
	struct opening *opening = context;
	struct stat status;

	opening->fd = open(opening->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (opening->fd < 0)
		opening->error = -errno;
	else if (fstat(opening->fd, &status) || !S_ISREG(status.st_mode) || status.st_ino != opening->inode)
		opening->error = -ESTALE;
}

/* @return descriptor of the regular file of that inode, or -errno */
static int open_regular(struct mapped_files *files, struct mapped_file *file, const char *path)
{
	struct opening *opening;
	int fd = -1, error;

	/* Whoever waits in vain is a thread that stays. */
	if (file->late || files->late >= MAPPED_FILES_LATE_MAX)
		return -ETIMEDOUT;
	opening = calloc(1, sizeof(*opening));
	if (!opening)
		return -ENOMEM;
	*opening = (struct opening){.path = strdup(path), .inode = file->key.inode, .fd = -1};
	error = opening->path ? in_time_call(opening_make, opening_release, opening, MAPPED_FILES_OPEN_NS)
	                      : -ENOMEM;
	if (error == -ETIMEDOUT) {
		files->late++;
		file->late = true;
		return error;
	}
	if (!error)
		error = opening->error;
	if (!error)
		fd = fd_take(&opening->fd);
	opening_release(opening);
	return error ? error : fd;
}

static int open_mapped(struct mapped_files *files, struct mapped_file *file, const struct event_file *event,
                       const char *path)
{
	char link[80];
	int fd;

	if (event->cause == FILE_EXECED)
		(void)snprintf(link, sizeof(link), "/proc/%u/exe", event->header.process_id);
	else
		(void)snprintf(link, sizeof(link), "/proc/%u/map_files/%llx-%llx", event->header.process_id,
		               (unsigned long long)event->address,
		               (unsigned long long)(event->address + event->length_bytes));
	fd = open_regular(files, file, link);
	return fd >= 0 ? fd : open_regular(files, file, path);
}

static void keep_open(struct mapped_files *files, struct mapped_file *file, const struct event_file *event,
                      const char *path)
{
	int fd;

	if (!event->executable || file->fd >= 0 || files->open_count >= MAPPED_FILES_OPEN_MAX)
		return;
	fd = open_mapped(files, file, event, path);
	if (fd < 0)
		return;
	file->fd = fd;
	files->open_count++;
}

/* @return the new file, not yet found by its key; NULL: out of memory */
static struct mapped_file *make(const struct file_key *key, const char *path)
{
	struct mapped_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->key = *key;
	file->fd = -1;
	file->path = strdup(path);
	if (!file->path) {
		free(file);
		return NULL;
	}
	return file;
}

int mapped_files_add(struct mapped_files *files, const struct event_file *event, const char *path)
{
	struct mapped_file *file = find(files, &event->key);

	/* It was mapped to be read before, and now to be run. */
	if (file) {
		keep_open(files, file, event, path);
		return 0;
	}
	if (HASH_COUNT(files->by_key) >= MAPPED_FILES_MAX)
		return -ENOSPC;
	file = make(&event->key, path);
	if (!file)
		return -ENOMEM;
	keep_open(files, file, event, path);
	HASH_ADD(hh, files->by_key, key, sizeof(file->key), file);
	return 0;
}

int mapped_files_add_named(struct mapped_files *files, const struct file_key *key, const char *name, int fd)
{
	int error = find(files, key) ? -EEXIST : 0;
	struct mapped_file *file = error ? NULL : make(key, name);

	if (!file) {
		fd_close(&fd);
		return error ? error : -ENOMEM;
	}
	file->fd = fd;
	files->open_count++;
	HASH_ADD(hh, files->by_key, key, sizeof(file->key), file);
	return 0;
}

const char *mapped_files_path(const struct mapped_files *files, const struct file_key *key)
{
	const struct mapped_file *file = find(files, key);

	return file ? file->path : NULL;
}

int mapped_files_fd(struct mapped_files *files, const struct file_key *key, int *ret_fd)
{
	struct mapped_file *file = find(files, key);
	int fd;

	if (!file)
		return -ENOENT;
	if (file->fd >= 0) {
		*ret_fd = file->fd;
		return 0;
	}
	fd = open_regular(files, file, file->path);
	if (fd < 0)
		return fd;
	if (files->open_count < MAPPED_FILES_OPEN_MAX) {
		file->fd = fd;
		files->open_count++;
	} else {
		fd_close(&files->spare_fd);
		files->spare_fd = fd;
	}
	*ret_fd = fd;
	return 0;
}
