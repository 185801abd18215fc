/*
 * Changes of an ELF file in memory, and what reading such a file took: for tests of files that claim too
 * much.
 */
#ifndef LEFTOPEN_TESTS_UNIT_ELF_PATCH_H
#define LEFTOPEN_TESTS_UNIT_ELF_PATCH_H

#include <criterion/criterion.h>
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inline uint8_t *elf_patch_read(const char *path, size_t *ret_bytes)
{
	FILE *file = fopen(path, "re");
	uint8_t *content = NULL;

	cr_assert_not_null(file, "%s", path);
	fseek(file, 0, SEEK_END);
	*ret_bytes = (size_t)ftell(file);
	rewind(file);
	content = malloc(*ret_bytes);
	cr_assert_eq(fread(content, 1, *ret_bytes, file), *ret_bytes);
	fclose(file);
	return content;
}

/* The header of a section, by its name, of a trusted file. */
static inline Elf64_Shdr *elf_patch_section(uint8_t *content, const char *name)
{
	const Elf64_Ehdr *header = (void *)content;
	Elf64_Shdr *sections = (void *)(content + header->e_shoff);
	const char *names = (void *)(content + sections[header->e_shstrndx].sh_offset);

	for (unsigned i = 0; i < header->e_shnum; i++)
		if (strcmp(names + sections[i].sh_name, name) == 0)
			return &sections[i];
	cr_assert_fail("no section %s", name);
	return NULL;
}

/* A file of that content and, behind it, as much that is nothing but zeros and takes no room. */
static inline int elf_patch_file(const uint8_t *content, size_t bytes, size_t zeros)
{
	int fd = memfd_create("patched", MFD_CLOEXEC);

	cr_assert_eq(write(fd, content, bytes), (ssize_t)bytes);
	cr_assert_eq(ftruncate(fd, (off_t)(bytes + zeros)), 0);
	return fd;
}

/* A figure of /proc/self/status: VmHWM is the most memory held, VmPeak the most that was asked for. */
static inline uint64_t memory_bytes(const char *field)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	uint64_t kib = 0;

	while (fgets(line, sizeof(line), file))
		if (strncmp(line, field, strlen(field)) == 0)
			kib = strtoull(line + strlen(field) + 1, NULL, 10);
	fclose(file);
	cr_assert_gt(kib, 0);
	return kib << 10;
}

#endif
