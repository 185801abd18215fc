/*
 * A bounded walk from a file's dentry to the root of its mounts: names, innermost first.
 * The names are read while the file is held open by the caller's process; a rename at the same time can give
 * a mixed path, as it can to readlink(/proc/PID/fd/N).
 */
#ifndef LEFTOPEN_BPF_PATH_H
#define LEFTOPEN_BPF_PATH_H

#include "maps.bpf.h"
#include "core_compat.bpf.h"

struct path_walk {
	struct dentry *dentry;
	struct mount *mount;
	char *names;
	u32 bytes;
	u32 state;
};

static long path_step(u32 index, struct path_walk *walk)
{
	struct dentry *dentry = walk->dentry;
	struct mount *mount = walk->mount;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct dentry *root = BPF_CORE_READ(mount, mnt.mnt_root);
	u32 at = walk->bytes;
	long length;

	if (dentry == root) {
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);

		if (above == mount) {
			walk->state = PATH_COMPLETE;
			return 1;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = above;
		return 0;
	}
	if (at > PATH_NAMES_BYTES - PATH_NAME_MAX)
		return 1;
	/* The compiler drops a mask that it can prove; the verifier needs it. */
	asm volatile("" : "+r"(at));
	at &= PATH_NAMES_BYTES - 1;
	length = bpf_probe_read_kernel_str(walk->names + at, PATH_NAME_MAX,
	                                   BPF_CORE_READ(dentry, d_name.name));
	if (length <= 0)
		return 1;
	walk->bytes = at + (u32)length;
	walk->dentry = parent;
	/* A pipe, a socket or an anonymous inode has a name and no folder. */
	if (dentry == parent) {
		walk->state = PATH_BARE;
		return 1;
	}
	return 0;
}

/* Adds the type of a detached mount's filesystem as the outermost name. */
static __always_inline void path_add_filesystem(struct path_walk *walk)
{
	struct mount *mount = walk->mount;
	u32 at = walk->bytes;
	long length;

	if (at > PATH_NAMES_BYTES - PATH_NAME_MAX)
		return;
	asm volatile("" : "+r"(at));
	at &= PATH_NAMES_BYTES - 1;
	length = bpf_probe_read_kernel_str(walk->names + at, PATH_NAME_MAX,
	                                   BPF_CORE_READ(mount, mnt.mnt_sb, s_type, name));
	if (length <= 0)
		return;
	walk->bytes = at + (u32)length;
	walk->state = PATH_DETACHED;
}

/* @param names PATH_NAMES_BYTES + PATH_NAME_MAX bytes
 * @param tell_detached whether a path in a detached mount is to be told from others
 * @return bytes of names written; ret_path says whether the outermost are missing */
static __always_inline u32 path_read(struct file *file, char *names, bool tell_detached,
                                     struct event_path *ret_path)
{
	struct path_walk walk = {
	        .dentry = BPF_CORE_READ(file, f_path.dentry),
	        .mount = compat_mount(BPF_CORE_READ(file, f_path.mnt)),
	        .names = names,
	        .bytes = compat_loop_zero(),
	        .state = PATH_TRUNCATED,
	};

	bpf_loop(PATH_DEPTH_MAX, path_step, &walk, 0);
	if (tell_detached && walk.state == PATH_COMPLETE && compat_is_detached(walk.mount))
		path_add_filesystem(&walk);
	ret_path->bytes = walk.bytes;
	ret_path->state = walk.state;
	return walk.bytes;
}

/* Who uses a file, and how. */
struct file_use {
	u64 start_ns;   /* of the process */
	u32 process_id; /* 0: the current one */
	u32 cause;      /* enum file_cause */
	u32 executable; /* whether the mapping may be run, so that it may be a runtime */
	u32 reserved;
	u64 address;
	u64 length_bytes;
	u64 file_offset;
};

/* Sends a file's path once or, where it is now mapped to be run, until the daemon has learnt it.
 * @return 0: it is sent, now or before; -1: it could not be */
static __always_inline int file_send_once(struct file *file, const struct file_key *key,
                                          const struct file_use *use)
{
	u8 as = FILE_SENT, *sent;
	struct walk_scratch *scratch;
	void *ring;
	int error;
	u32 bytes;

	sent = bpf_map_lookup_elem(&files_sent, key);
	if (sent && (*sent == FILE_SENT_LEARNT || !use->executable || use->cause == FILE_CALLED))
		return 0;
	scratch = walk_scratch_borrow();
	if (!scratch)
		return -1;
	scratch->file.key = *key;
	scratch->file.cause = use->cause;
	scratch->file.executable = use->executable;
	scratch->file.address = use->address;
	scratch->file.length_bytes = use->length_bytes;
	scratch->file.file_offset = use->file_offset;
	scratch->file.file_size_bytes = BPF_CORE_READ(file, f_inode, i_size);
	bytes = bounded_bytes(path_read(file, scratch->file.names, false, &scratch->file.path),
	                      PATH_NAMES_BYTES) +
	        offsetof(struct event_file, names);
	fill_header(&scratch->file.header, EVENT_FILE, bytes, use->start_ns);
	if (use->process_id)
		scratch->file.header.process_id = use->process_id;
	ring = event_ring(&scratch->file);
	error = !ring || bpf_ringbuf_output(ring, &scratch->file, bytes, BPF_RB_FORCE_WAKEUP) ? -1 : 0;
	if (!error)
		bpf_map_update_elem(&files_sent, key, &as, BPF_ANY);
	else
		count_loss(LOSS_RING_FULL_PROCESSES);
	walk_scratch_return(scratch);
	return error;
}

#endif
