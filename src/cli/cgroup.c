/*
 * Control groups. See cgroup.h.
 */
#include "cli/cgroup.h"

#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct line {
	char text[PATH_MAX + 128];
	const char *path;
	bool version_2;
};

static FILE *open_lines(uint32_t process_id)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%u/cgroup", process_id);
	return fopen(path, "re");
}

/* "0::/path", or "4:memory:/path" of version 1. @return whether there was one more */
static bool read_line(FILE *file, struct line *line)
{
	while (fgets(line->text, sizeof(line->text), file)) {
		char *controllers = strchr(line->text, ':'), *path;

		if (!controllers || !(path = strchr(controllers + 1, ':')))
			continue;
		path++;
		path[strcspn(path, "\n")] = '\0';
		line->path = path;
		line->version_2 = path == controllers + 2;
		return true;
	}
	return false;
}

int cgroup_read(uint32_t process_id, char *to, size_t bytes)
{
	FILE *file = open_lines(process_id);
	bool found = false;
	struct line line;

	if (!file)
		return -errno;
	to[0] = '\0';
	while (!found && read_line(file, &line)) {
		if (strcmp(line.path, "/") || !to[0])
			(void)snprintf(to, bytes, "%s", line.path);
		/* Its line is the last one. */
		found = line.version_2 && strcmp(line.path, "/");
	}
	(void)fclose(file);
	return 0;
}

bool cgroup_holds(const char *path, uint32_t process_id)
{
	size_t length = strlen(path);
	FILE *file = open_lines(process_id);
	bool found = false;
	struct line line;

	if (!file)
		return false;
	while (!found && read_line(file, &line))
		found = !strncmp(line.path, path, length) && (!line.path[length] || line.path[length] == '/');
	(void)fclose(file);
	return found;
}

/* @return whether the mount has such a folder; ret_path: its path below the mount, part of `path` */
static bool is_below(const struct mntent *mount, const char *path, const char **ret_path)
{
	size_t length = strlen(mount->mnt_dir);
	char folder[PATH_MAX];
	struct stat status;

	/* Somebody may name it by where it is mounted. */
	if (!strncmp(path, mount->mnt_dir, length) && (!path[length] || path[length] == '/'))
		path += length;
	if (snprintf(folder, sizeof(folder), "%s/%s", mount->mnt_dir, path) >= (int)sizeof(folder))
		return false;
	*ret_path = path;
	return !stat(folder, &status) && S_ISDIR(status.st_mode);
}

int cgroup_find(const char *path, char **ret_path)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	const char *below = NULL;
	struct mntent *mount;
	bool found = false;
	char *copy = NULL;

	if (!mounts)
		return -errno;
	while (!found && (mount = getmntent(mounts)))
		found = (!strcmp(mount->mnt_type, "cgroup2") || !strcmp(mount->mnt_type, "cgroup")) &&
		        is_below(mount, path, &below);
	(void)endmntent(mounts);
	if (!found)
		return -ENOENT;
	below += strspn(below, "/");
	/* "" is the root, of which everything is a member: as a prefix it fits. */
	if (asprintf(&copy, "%s%s", *below ? "/" : "", below) < 0)
		return -ENOMEM;
	for (size_t length = strlen(copy); length && copy[length - 1] == '/'; length--)
		copy[length - 1] = '\0';
	*ret_path = copy;
	return 0;
}
