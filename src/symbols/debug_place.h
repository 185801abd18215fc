/*
 * Where separate debug files are installed: they are named, never given by a path, so that whoever reads a
 * hostile file has no say in what is opened.
 * Inputs: names from files that anybody may have written. Outputs: descriptors of regular ELF files, which
 * whoever reads them checks to be the ones that were meant.
 */
#ifndef LEFTOPEN_SYMBOLS_DEBUG_PLACE_H
#define LEFTOPEN_SYMBOLS_DEBUG_PLACE_H

/* A file's name has no more (limits.h, NAME_MAX); a build id of 64 bytes has 128 digits. */
#define DEBUG_NAME_MAX 255

/* "folder" is that of the file whose debug information is looked for. */
enum debug_place {
	DEBUG_PLACE_BUILD_ID = 0,   /* /usr/lib/debug/.build-id; the name is the id in hexadecimal digits */
	DEBUG_PLACE_BESIDE,         /* folder */
	DEBUG_PLACE_HIDDEN,         /* folder/.debug */
	DEBUG_PLACE_INSTALLED,      /* /usr/lib/debug/folder */
	DEBUG_PLACE_SHARED,         /* /usr/lib/debug/.dwz */
	DEBUG_PLACE_SHARED_MACHINE, /* below it, where Debian has what dwz made for this machine */
	DEBUG_PLACE_COUNT
};

/* How debug files are opened. */
struct debug_opener {
	/**
	 * @param name at most DEBUG_NAME_MAX bytes
	 * @param ret_fd the caller's
	 * @return 0; -ENOENT: there is none, for whatever reason; another -errno: the asker is to give up
	 */
	int (*open)(void *context, enum debug_place place, const char *name, int *ret_fd);
	void *context;
};

/**
 * Opens a debug file: a regular file that begins as ELF files do. May wait for a filesystem.
 * @param path of the file whose debug information is looked for; NULL: it has no folder
 * @param name a file's name without a '/', or digits where the place is DEBUG_PLACE_BUILD_ID
 * @return 0; -ENOENT: there is none, or it is not to be read, or the name is no name
 */
int debug_place_open(const char *path, enum debug_place place, const char *name, int *ret_fd);

/** An opener that opens in this process. @param path as debug_place_open() takes it; outlives the opener */
struct debug_opener debug_place_opener(const char *path);

#endif
