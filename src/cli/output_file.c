/*
 * Report files.
 * Inputs: a name from the command line, whose rights count. Outputs: a stream, and a file put in place whole.
 * Whoever owns the folder is not trusted: he may change it at any time, so that every step that names
 * something is made in a child with his rights, relative to the folder that was opened at first.
 */
#include "cli/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/launch_identity.h"

/* Chosen by: 62^6 names; a second collision would be an attack. */
#define TEMPORARY_TRIES  8
#define TEMPORARY_SUFFIX ".leftopen-XXXXXX"
#define RANDOM_LETTERS   6

struct output_file {
	char *path;
	char name[NAME_MAX + 1];
	char temporary[NAME_MAX + 1];
	struct launch_identity identity;
	int folder_fd; /* -1: written directly, nothing to rename */
	int fd;
	FILE *stream;
	int error; /* -errno of the first write that failed */
	bool committed;
};

/* What the child with the user's rights is asked for. */
struct opening {
	const char *folder;
	const char *name;
	const char *temporary;
	int channel; /* takes the file, and the folder where there is something to rename */
};

static void free_string(char **string)
{
	free(*string);
}

static int expand(const char *path, pid_t process_id, char **ret_path)
{
	__attribute__((cleanup(free_string))) char *made = NULL;
	size_t bytes;
	FILE *stream = open_memstream(&made, &bytes);
	int result = 0;

	if (!stream)
		return -ENOMEM;
	for (const char *next = path; *next && result == 0; next++) {
		if (*next != '%')
			putc(*next, stream);
		else if (*++next == 'p')
			fprintf(stream, "%d", (int)process_id);
		else if (*next == '%')
			putc('%', stream);
		else
			result = -EINVAL;
		if (*next == '\0')
			break;
	}
	if (fclose(stream) != 0)
		return -ENOMEM;
	if (result < 0)
		return result;
	*ret_path = made;
	made = NULL;
	return 0;
}

static int open_direct(int folder_fd, const struct opening *opening, mode_t type)
{
	struct stat status;
	/* A FIFO without a reader would wait for ever: with O_NONBLOCK it says ENXIO. */
	FD_OWNED int fd =
	        openat(folder_fd, opening->name, O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	if ((status.st_mode & S_IFMT) != type) /* exchanged since it was looked at */
		return -EAGAIN;
	if (fcntl(fd, F_SETFL, O_WRONLY) < 0)
		return -errno;
	return fd_send(opening->channel, &fd, 1);
}

/* A rename over another's file in a folder like /tmp is refused: better known before the run than after it.
 */
static bool is_sticky_for(int folder_fd, const struct stat *target)
{
	struct stat folder;

	return geteuid() != 0 && fstat(folder_fd, &folder) == 0 && (folder.st_mode & S_ISVTX) &&
	       folder.st_uid != geteuid() && target->st_uid != geteuid();
}

static int open_as_user(void *data)
{
	const struct opening *opening = data;
	mode_t mode = 0666;
	struct stat target;
	FD_OWNED int folder_fd = open(opening->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (folder_fd < 0)
		return -errno;
	if (fstatat(folder_fd, opening->name, &target, AT_SYMLINK_NOFOLLOW) == 0) {
		switch (target.st_mode & S_IFMT) {
		case S_IFREG:
			break;
		case S_IFLNK:
			return -ELOOP;
		case S_IFDIR:
			return -EISDIR;
		case S_IFIFO:
		case S_IFCHR:
			return open_direct(folder_fd, opening, target.st_mode & S_IFMT);
		default:
			return -ENOTSUP;
		}
		if (faccessat(folder_fd, opening->name, W_OK, AT_EACCESS) < 0)
			return -errno;
		if (is_sticky_for(folder_fd, &target))
			return -EPERM;
		mode &= target.st_mode;
	} else if (errno != ENOENT) {
		return -errno;
	}
	FD_OWNED int fd = openat(folder_fd, opening->temporary,
	                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	int result = fd_send(opening->channel, (int[]){fd, folder_fd}, 2);
	if (result < 0)
		(void)unlinkat(folder_fd, opening->temporary,
		               0); /* the error that is told is the first one */
	return result;
}

static int name_temporary(const char *name, char *ret_temporary)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	unsigned char random[RANDOM_LETTERS];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	/* A name near NAME_MAX is cut: the temporary file's name has to fit as well. */
	int length = snprintf(ret_temporary, NAME_MAX + 1, ".%.*s" TEMPORARY_SUFFIX,
	                      (int)(NAME_MAX - sizeof(TEMPORARY_SUFFIX)), name);
	for (int i = 0; i < RANDOM_LETTERS; i++)
		ret_temporary[length - RANDOM_LETTERS + i] = letters[random[i] % (sizeof(letters) - 1)];
	return 0;
}

static int open_target(struct output_file *file)
{
	__attribute__((cleanup(free_string))) char *folder = strdup(file->path);
	int fds[FD_PASS_MAX];
	int ends[2];
	size_t count;

	if (!folder)
		return -ENOMEM;
	char *slash = strrchr(folder, '/');
	const char *name = slash ? slash + 1 : folder;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (*name == '\0')
		return *folder ? -EISDIR : -ENOENT;
	strcpy(file->name, name);
	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	FD_OWNED int near_end = ends[0];
	FD_OWNED int far_end = ends[1];
	const struct opening opening = {.folder = slash ? folder : ".",
	                                .name = file->name,
	                                .temporary = file->temporary,
	                                .channel = far_end};
	int result = -EEXIST;
	for (int i = 0; i < TEMPORARY_TRIES && result == -EEXIST; i++) {
		result = name_temporary(file->name, file->temporary);
		if (result == 0)
			result = launch_identity_run(&file->identity, open_as_user, (void *)&opening);
	}
	if (result < 0)
		return result;
	fd_close(&far_end);
	result = fd_receive(near_end, fds, &count);
	if (result < 0)
		return result;
	file->fd = fds[0];
	file->folder_fd = count == 2 ? fds[1] : -1;
	return 0;
}

/* A cookie and not fdopen(3): stdio forgets the errno of a write that failed before the last one. */
static ssize_t write_cookie(void *cookie, const char *buffer, size_t size)
{
	struct output_file *file = cookie;
	size_t done = 0;

	while (done < size && file->error == 0) {
		ssize_t written = write(file->fd, buffer + done, size - done);
		if (written >= 0) {
			done += (size_t)written;
		} else if (errno == EAGAIN) { /* standard output that somebody made non-blocking */
			struct pollfd waiting = {.fd = file->fd, .events = POLLOUT};
			(void)poll(&waiting, 1, -1); /* whatever it says, the next write says more */
		} else if (errno != EINTR) {
			file->error = -errno;
		}
	}
	return (ssize_t)done; /* 0 is an error to fopencookie(3) */
}

static int remove_as_user(void *data)
{
	const struct output_file *file = data;

	return unlinkat(file->folder_fd, file->temporary, 0) < 0 ? -errno : 0;
}

static int rename_as_user(void *data)
{
	const struct output_file *file = data;

	return renameat(file->folder_fd, file->temporary, file->folder_fd, file->name) < 0 ? -errno : 0;
}

int output_file_open(const char *path, const struct launch_identity *identity, pid_t process_id,
                     struct output_file **ret_file)
{
	OUTPUT_FILE_OWNED struct output_file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file->fd = -1;
	file->folder_fd = -1;
	int result = launch_identity_copy(identity, &file->identity);
	if (result == 0)
		result = expand(path, process_id, &file->path);
	if (result < 0)
		return result;
	if (strcmp(path, "-") == 0) {
		/* Above 2, so that a closed standard stream is not taken for this file. */
		file->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		result = file->fd < 0 ? -errno : 0;
		/* As main leaves one that was closed. */
		if (result == 0 && (fcntl(file->fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
			result = -EBADF;
	} else {
		result = open_target(file);
	}
	if (result < 0)
		return result;
	file->stream = fopencookie(file, "w", (cookie_io_functions_t){.write = write_cookie});
	if (!file->stream)
		return -ENOMEM;
	*ret_file = file;
	file = NULL;
	return 0;
}

FILE *output_file_stream(struct output_file *file)
{
	return file->stream;
}

const char *output_file_path(const struct output_file *file)
{
	return file->path;
}

int output_file_commit(struct output_file *file)
{
	int result = 0;

	if (fflush(file->stream) != 0 || ferror(file->stream))
		result = file->error < 0 ? file->error : -EIO;
	if (file->folder_fd < 0)
		return result;
	if (result == 0 && fsync(file->fd) < 0)
		result = -errno;
	if (result == 0)
		result = launch_identity_run(&file->identity, rename_as_user, file);
	if (result < 0)
		/* The error that is told is the first one. */
		(void)launch_identity_run(&file->identity, remove_as_user, file);
	file->committed = true; /* there is no temporary file any more, either way */
	return result;
}

void output_file_abort(struct output_file *file)
{
	if (!file)
		return;
	if (file->folder_fd >= 0 && !file->committed)
		(void)launch_identity_run(&file->identity, remove_as_user, file); /* it may be gone already */
	if (file->stream) {
		file->error = -ECANCELED; /* what is still buffered is not wanted */
		(void)fclose(file->stream);
	}
	fd_close(&file->fd);
	fd_close(&file->folder_fd);
	launch_identity_clear(&file->identity);
	free(file->path);
	free(file);
}

void output_file_leave(struct output_file *file)
{
	if (file)
		file->committed = true;
	output_file_abort(file);
}

bool output_file_is_replaced(const struct output_file *file)
{
	return file->folder_fd >= 0;
}

void output_file_abortp(struct output_file **file)
{
	output_file_abort(*file);
}

const char *output_file_explain(int error)
{
	switch (-error) {
	case EINVAL:
		return "only %p (the process's number) and %% may be used in the name of an output file";
	case ELOOP:
		return "it is a symbolic link, which is not followed: name the file itself";
	case EISDIR:
		return "it is a folder: name a file in it";
	case EACCES:
		return "you may not write it, or may not make files in its folder: choose another place";
	case EPERM:
		return "it is somebody else's in a folder where only he may replace it: choose another name";
	case ENXIO:
		return "nobody reads from it: start the reader first";
	case ENOTSUP:
		return "it is neither a file nor a FIFO nor a character device";
	case ENOENT:
		return "its folder does not exist: make it first";
	case ENOSPC:
		return "the disk is full: the old file, if there was one, is as it was";
	default:
		return strerror(-error);
	}
}
