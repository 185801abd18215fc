/*
 * Unwind tables as the programs read them. See unwind_shards.h.
 * Rows are written through mmap(2): an update of a map by leftopen keeps programs from running on its CPU for
 * that time (kernel/bpf/syscall.c, bpf_disable_instrumentation), and what they would have told is lost.
 */
#include "load/unwind_shards.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "map_abi.h"

struct shard {
	int fd; /* of its array */
	size_t filled;
};

struct unwind_shards {
	int shards_fd, files_fd;
	size_t count;
	struct shard shards[UNWIND_SHARDS_MAX];
};

int unwind_shards_new(int shards_fd, int files_fd, struct unwind_shards **ret_shards)
{
	struct unwind_shards *shards = calloc(1, sizeof(*shards));

	if (!shards)
		return -ENOMEM;
	shards->shards_fd = shards_fd;
	shards->files_fd = files_fd;
	*ret_shards = shards;
	return 0;
}

static int make_shard(struct unwind_shards *shards)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	__u32 index = (__u32)shards->count;
	int fd;

	if (shards->count == UNWIND_SHARDS_MAX)
		return -ENOSPC;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "unwind_shard", sizeof(__u32), sizeof(struct unwind_row),
	                    UNWIND_SHARD_ROWS, &options);
	if (fd < 0)
		return -errno;
	if (bpf_map_update_elem(shards->shards_fd, &index, &fd, BPF_ANY)) {
		int error = -errno;

		fd_close(&fd);
		return error;
	}
	shards->shards[shards->count++] = (struct shard){.fd = fd};
	return 0;
}

/* @return the index of the first array that has room, or -errno */
static int find_room(struct unwind_shards *shards, size_t rows)
{
	int error;

	for (size_t i = 0; i < shards->count; i++)
		if (UNWIND_SHARD_ROWS - shards->shards[i].filled >= rows)
			return (int)i;
	error = make_shard(shards);
	return error ? error : (int)shards->count - 1;
}

static int write_rows(const struct shard *shard, const struct unwind_row *rows, size_t count)
{
	size_t bytes = UNWIND_SHARD_ROWS * sizeof(*rows);
	struct unwind_row *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shard->fd, 0);

	if (mapped == MAP_FAILED)
		return -errno;
	memcpy(mapped + shard->filled, rows, count * sizeof(*rows));
	(void)munmap(mapped, bytes);
	return 0;
}

int unwind_shards_add(struct unwind_shards *shards, const struct file_key *key, const struct unwind_row *rows,
                      size_t count)
{
	struct unwind_file file;
	int index, error;

	if (count > UNWIND_SHARD_ROWS)
		return -E2BIG;
	index = find_room(shards, count);
	if (index < 0)
		return index;
	error = write_rows(&shards->shards[index], rows, count);
	if (error)
		return error;
	file = (struct unwind_file){
	        .shard = (__u32)index,
	        .first = (__u32)shards->shards[index].filled,
	        .count = (__u32)count,
	};
	if (bpf_map_update_elem(shards->files_fd, key, &file, BPF_ANY))
		return -errno;
	shards->shards[index].filled += count;
	return 0;
}

void unwind_shards_free(struct unwind_shards *shards)
{
	if (!shards)
		return;
	for (size_t i = 0; i < shards->count; i++)
		fd_close(&shards->shards[i].fd);
	free(shards);
}
