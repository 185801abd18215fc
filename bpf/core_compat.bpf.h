/*
 * Differences between kernels, one shim each, with the commit that made it necessary.
 */
#ifndef LEFTOPEN_BPF_CORE_COMPAT_H
#define LEFTOPEN_BPF_CORE_COMPAT_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "event_abi.h"

/* A file's descriptor table is reached through files_struct.fdt, and fd[n] may
 * be NULL while the bit set already has n (fs/file.c, alloc_fd reserves before fd_install).
 * @return the file, or NULL: the number is out of range or not installed */
static __always_inline struct file *compat_table_file(struct files_struct *files, u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(files, fdt);
	struct file **array = BPF_CORE_READ(table, fd);
	struct file *file = NULL;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	if (bpf_probe_read_kernel(&file, sizeof(file), array + fd))
		return NULL;
	return file;
}

static __always_inline void compat_file_key(struct file *file, struct file_key *key)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	key->inode = BPF_CORE_READ(inode, i_ino);
	key->device = BPF_CORE_READ(inode, i_sb, s_dev);
	key->generation = BPF_CORE_READ(inode, i_generation);
}

/* fs/mount.h: the mount that holds this vfsmount. */
static __always_inline struct mount *compat_mount(struct vfsmount *mount)
{
	return (void *)mount - bpf_core_field_offset(struct mount, mnt);
}

#endif
