/*
 * Numbers that look random and are the same in every run.
 */
#ifndef LEFTOPEN_TESTS_RANDOM_NUMBERS_H
#define LEFTOPEN_TESTS_RANDOM_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/** @return the next number; @param state any start @source splitmix64, https://prng.di.unimi.it/splitmix64.c
 */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/** @return a number below the bound */
static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
	return random_next(state) % bound;
}

static inline void random_fill(uint64_t *state, void *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((unsigned char *)to)[i] = (unsigned char)random_next(state);
}

#endif
