/*
 * The table of report formats. A format is a row here and a file beside this one.
 * Inputs: a name of the user's. Outputs: a row.
 */
#include "report/report.h"

#include <string.h>

const struct report_format report_formats[] = {
        {"text", "for people: the verdict first, then each place with its stack", report_text_write},
        {"json", "for programs: leftopen.report/1, see doc/report.schema.json", report_json_write},
        {NULL, NULL, NULL},
};

const struct report_format *report_find(const char *name)
{
	for (const struct report_format *format = report_formats; format->name; format++) {
		if (strcmp(format->name, name) == 0)
			return format;
	}
	return NULL;
}
