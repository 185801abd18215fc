/*
 * What libFuzzer calls with each input that it invents.
 */
#include "unwind_table_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	unwind_table_input(data, bytes);
	return 0;
}
