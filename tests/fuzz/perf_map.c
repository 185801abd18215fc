/*
 * What libFuzzer calls with each input that it invents.
 */
#include "perf_map_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	perf_map_input(data, bytes);
	return 0;
}
