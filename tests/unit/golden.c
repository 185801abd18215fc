/*
 * Texts against golden files. See golden.h.
 */
#include "golden.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SOURCE_DIR
#error "SOURCE_DIR must be the repository's folder as a string"
#endif

/* Writes bytes to a new file under /tmp. */
static void write_temporary(char path[64], const char *bytes, size_t length)
{
	int fd;

	strcpy(path, "/tmp/leftopen-report-XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, bytes, length), (ssize_t)length);
	cr_assert_eq(close(fd), 0);
}

/* Runs a command and prints what it says where it fails. @return whether it succeeded */
static bool run_command(const char *command)
{
	FILE *pipe = popen(command, "re");
	char line[4096];
	bool succeeded;
	size_t length = 0;
	char *said = NULL;
	FILE *memory = open_memstream(&said, &length);

	cr_assert_not_null(pipe);
	cr_assert_not_null(memory);
	while (fgets(line, sizeof(line), pipe))
		fputs(line, memory);
	cr_assert_eq(fclose(memory), 0);
	succeeded = pclose(pipe) == 0;
	if (!succeeded)
		cr_log_error("%s\n%s", command, said);
	free(said);
	return succeeded;
}

void golden_check(const char *name, const char *bytes, size_t length)
{
	const char *mode = getenv("LEFTOPEN_GOLDEN");
	char golden[512], actual[64], command[1024];

	(void)snprintf(golden, sizeof(golden), "%s/tests/golden/%s.txt", SOURCE_DIR, name);
	if (mode && strcmp(mode, "write") == 0) {
		FILE *file = fopen(golden, "we");

		cr_assert_not_null(file);
		cr_assert_eq(fwrite(bytes, 1, length, file), length);
		cr_assert_eq(fclose(file), 0);
		return;
	}
	write_temporary(actual, bytes, length);
	(void)snprintf(command, sizeof(command), "diff -u '%s' '%s' 2>&1", golden, actual);
	cr_expect(run_command(command), "%s differs", golden);
	(void)unlink(actual);
}
