/*
 * What commands say to the user. See message.h.
 */
#include "cli/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"

void message_error(const char *format, ...)
{
	char *text = NULL, *safe = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) >= 0)
		safe = escape_for_terminal(text, strlen(text));
	va_end(arguments);
	(void)fprintf(stderr, "leftopen: %s\n", safe ? safe : "out of memory");
	free(safe);
	free(text);
}

bool message_is_written(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	message_error("standard output cannot be written: %m");
	return false;
}
