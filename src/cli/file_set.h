/*
 * Paths of files, each file once, under whatever names it is found.
 */
#ifndef LEFTOPEN_CLI_FILE_SET_H
#define LEFTOPEN_CLI_FILE_SET_H

#include <stddef.h>
#include <sys/types.h>

/* Programs with more libraries exist (desktops): what is left out is learnt as it is mapped. Chosen by: what
 * is looked at must not delay the command. */
#define FILE_SET_MAX 256

struct file_set {
	char *paths[FILE_SET_MAX]; /* the set's */
	size_t count;
	struct file_identity {
		dev_t device;
		ino_t inode;
	} seen[FILE_SET_MAX];
};

/**
 * Adds a regular file, unless the set has it, or FILE_SET_MAX others.
 * @return 0, also where it is not there; -ENOMEM
 */
int file_set_add(struct file_set *set, const char *path);

/** Frees the paths. */
void file_set_clear(struct file_set *set);

#endif
