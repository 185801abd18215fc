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

bool loader_has_unwind_rows(const struct loader *loader, const struct file_key *key)
{
	struct unwind_file file;

	return !bpf_map_lookup_elem(bpf_map__fd(loader->skeleton->maps.unwind_files), key, &file);
}

int loader_add_unwind_rows(struct loader *loader, const struct file_key *key, const struct unwind_row *rows,
                           size_t count)
{
	int error = 0;

	if (!loader->unwind_shards)
		error = unwind_shards_new(bpf_map__fd(loader->skeleton->maps.unwind_shards),
		                          bpf_map__fd(loader->skeleton->maps.unwind_files),
		                          &loader->unwind_shards);
	return error ? error : unwind_shards_add(loader->unwind_shards, key, rows, count);
}
