/*
 * A program that embeds CPython: it opens files in C before Python begins, beside it, in a thread that Python
 * does not know, and after Python has ended; and runs a Python script meanwhile.
 * Usage: python_embedded SCRIPT FOLDER MODE. Each file is named for the function that opens it.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* By syscall(), as libc's open() uses the frame pointer's register for something else. */
static int open_named(const char *folder, const char *name)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

/* The calls are no tail calls: each function is to be on the stack. */
static __attribute__((noinline)) int opens_before(const char *folder)
{
	return open_named(folder, "opens_before") + 1;
}

static __attribute__((noinline)) int opens_beside(const char *folder)
{
	return open_named(folder, "opens_beside") + 1;
}

static __attribute__((noinline)) int opens_after(const char *folder)
{
	return open_named(folder, "opens_after") + 1;
}

static void *opens_in_thread(void *folder)
{
	(void)open_named(folder, "opens_in_thread");
	return NULL;
}

static void begin_python(int count, char **arguments)
{
	PyConfig config;
	PyStatus status;

	PyConfig_InitPythonConfig(&config);
	config.parse_argv = 0;
	status = PyConfig_SetBytesArgv(&config, count, arguments);
	if (!PyStatus_Exception(status))
		status = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	if (PyStatus_Exception(status))
		Py_ExitStatusException(status);
}

static void run_thread(char *folder)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, opens_in_thread, folder) || pthread_join(thread, NULL))
		exit(1);
}

int main(int count, char **arguments)
{
	FILE *script;

	if (count != 4)
		return 2;
	(void)opens_before(arguments[2]);
	begin_python(count - 1, arguments + 1);
	(void)opens_beside(arguments[2]);
	run_thread(arguments[2]);
	script = fopen(arguments[1], "re");
	if (!script || PyRun_SimpleFileEx(script, arguments[1], 1))
		return 1;
	if (Py_FinalizeEx())
		return 1;
	(void)opens_after(arguments[2]);
	return 0;
}
