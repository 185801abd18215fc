/*
 * A stack's id: made in the kernel as its frames are found, and in leftopen of one whose frames it found
 * itself.
 */
#ifndef LEFTOPEN_STACK_HASH_H
#define LEFTOPEN_STACK_HASH_H

#include "event_abi.h"

#define STACK_HASH_INLINE static inline __attribute__((always_inline, unused))

#define STACK_HASH_BEGIN 0x6c6566746f70656eULL

STACK_HASH_INLINE __u64 hash_mix(__u64 hash, __u64 value)
{
	hash ^= value;
	hash *= 0x9E3779B97F4A7C15ULL;
	return hash ^ hash >> 29;
}

STACK_HASH_INLINE __u64 stack_hash_native(__u64 hash, const struct file_key *file, __u64 position)
{
	return hash_mix(hash_mix(hash, position), file->inode ^ (__u64)file->device << 32 ^ file->generation);
}

STACK_HASH_INLINE __u64 stack_hash_python(__u64 hash, __u64 code, __u32 offset)
{
	return hash_mix(hash_mix(hash, code), offset);
}

/* @param hash of all frames
 * @return the id of a stack of that end and image */
STACK_HASH_INLINE __u64 stack_hash_end(__u64 hash, __u32 count, __u32 end, __u64 image)
{
	hash = hash_mix(hash, end << 16 | count);
	return image ? hash_mix(hash, image) : hash;
}

#endif
