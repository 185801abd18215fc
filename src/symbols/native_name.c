/*
 * What native code is called. See native_name.h.
 */
#include "symbols/native_name.h"

#include <stdlib.h>

void native_names_free(struct native_name *names, size_t count)
{
	if (!names)
		return;
	for (size_t i = 0; i < count; i++) {
		free(names[i].function);
		free(names[i].file);
	}
	free(names);
}
