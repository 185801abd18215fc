/*
 * What the programs are told of files. See loader.h.
 */
#include <bpf/bpf.h>
#include <errno.h>

#include "leftopen.skel.h"
#include "load/loader_internal.h"

int loader_know_file(struct loader *loader, const struct file_key *key, const struct known_file *known)
{
	if (bpf_map_update_elem(bpf_map__fd(loader->skeleton->maps.known_files), key, known, BPF_ANY))
		return -errno;
	return 0;
}

int loader_file_learnt(struct loader *loader, const struct file_key *key)
{
	uint8_t sent = FILE_SENT_LEARNT;

	if (bpf_map_update_elem(bpf_map__fd(loader->skeleton->maps.files_sent), key, &sent, BPF_ANY))
		return -errno;
	return 0;
}

bool loader_file_is_learnt(const struct loader *loader, const struct file_key *key,
                           struct known_file *ret_known)
{
	uint8_t sent;

	if (bpf_map_lookup_elem(bpf_map__fd(loader->skeleton->maps.files_sent), key, &sent) ||
	    sent != FILE_SENT_LEARNT)
		return false;
	(void)bpf_map_lookup_elem(bpf_map__fd(loader->skeleton->maps.known_files), key, ret_known);
	return true;
}

int loader_forget_file(struct loader *loader, const struct file_key *key)
{
	if (bpf_map_delete_elem(bpf_map__fd(loader->skeleton->maps.files_sent), key) && errno != ENOENT)
		return -errno;
	return 0;
}

int loader_hint_python(struct loader *loader, uint32_t process_id, uint64_t start_ns, uint64_t runtime,
                       uint32_t minor)
{
	struct python_hint hint = {.start_ns = start_ns, .runtime = runtime, .minor = minor};

	if (bpf_map_update_elem(bpf_map__fd(loader->skeleton->maps.python_hints), &process_id, &hint,
	                        BPF_ANY))
		return -errno;
	__atomic_add_fetch(&loader->skeleton->bss->python_hints_version, 1, __ATOMIC_SEQ_CST);
	return 0;
}

/* @return 0, or -errno */
static int unwind_shards_of(struct loader *loader)
{
	struct unwind_shards_options options = {
	        .shards_fd = bpf_map__fd(loader->skeleton->maps.unwind_shards),
	        .files_fd = bpf_map__fd(loader->skeleton->maps.unwind_files),
	        .shards_max = UNWIND_SHARDS_MAX,
	        .ahead_rows_max = UNWIND_AHEAD_ROWS_MAX,
	        .evicted = loader->evicted,
	        .context = loader->evicted_context,
	};

	return loader->unwind_shards ? 0 : unwind_shards_new(&options, &loader->unwind_shards);
}

bool loader_wants_unwind_rows(struct loader *loader, const struct file_key *key)
{
	return loader->unwind_shards && unwind_shards_want(loader->unwind_shards, key);
}

int loader_add_unwind_rows(struct loader *loader, const struct file_key *key, const struct unwind_row *rows,
                           size_t count, bool ahead)
{
	int error = unwind_shards_of(loader);

	return error ? error : unwind_shards_add(loader->unwind_shards, key, rows, count, ahead);
}

const struct unwind_row *loader_unwind_rows(const struct loader *loader, const struct file_key *key,
                                            size_t *ret_count)
{
	return loader->unwind_shards ? unwind_shards_rows(loader->unwind_shards, key, ret_count) : NULL;
}

void loader_set_evicted(struct loader *loader, unwind_evicted_fn evicted, void *context)
{
	loader->evicted = evicted;
	loader->evicted_context = context;
}
