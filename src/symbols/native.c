/*
 * Names of native code: an ELF file's debug information where there is any, its symbol tables otherwise.
 * Inputs: open descriptors of files that anybody may have written. Outputs: function, file, line, inline
 * frames. What is broken in a file counts as absent; libelf and libdw check the encoding. libdw ends the
 * process when memory runs out, so this belongs into a process that may end.
 */
#include "symbols/native.h"

#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbols/debug_file.h"
#include "symbols/demangle.h"
#include "symbols/dwarf_index.h"
#include "symbols/dwarf_names.h"
#include "symbols/elf_segments.h"
#include "symbols/elf_symbols.h"

/* In the order in which they are asked. */
enum native_table { NATIVE_TABLE_OWN = 0, NATIVE_TABLE_DEBUG, NATIVE_TABLE_DYNAMIC, NATIVE_TABLE_COUNT };

struct native_object {
	int fd;
	Elf *elf;
	struct elf_segments segments;
	struct debug_file *debug;
	struct debug_file *alternate;
	Dwarf *dwarf;
	Dwarf *alternate_dwarf;
	struct dwarf_index *index;
	bool tables_read;
	struct elf_symbols *tables[NATIVE_TABLE_COUNT];
};

/* What GNU's older way of compressing a section begins with: a word and the size that comes of it. */
#define ZDEBUG_MAGIC        "ZLIB"
#define ZDEBUG_HEADER_BYTES 12

static bool section_is_debug_info(const char *name)
{
	return name && (strcmp(name, ".debug_info") == 0 || strcmp(name, ".zdebug_info") == 0);
}

/* How much comes of a section beyond what the file has of it, where it is compressed. */
static uint64_t section_uncompressed_bytes(Elf *elf, Elf_Scn *section, const GElf_Shdr *header,
                                           const char *name)
{
	GElf_Chdr compressed;
	Elf_Data *data = NULL;
	uint64_t bytes = 0;

	if (header->sh_flags & SHF_COMPRESSED)
		return gelf_getchdr(section, &compressed) ? compressed.ch_size : 0;
	if (!name || strncmp(name, ".zdebug", strlen(".zdebug")) != 0)
		return 0;
	data = elf_getdata_rawchunk(elf, (int64_t)header->sh_offset, ZDEBUG_HEADER_BYTES, ELF_T_BYTE);
	if (!data || memcmp(data->d_buf, ZDEBUG_MAGIC, strlen(ZDEBUG_MAGIC)) != 0)
		return 0;
	memcpy(&bytes, (const char *)data->d_buf + strlen(ZDEBUG_MAGIC), sizeof(bytes));
	return be64toh(bytes);
}

static bool add_within(uint64_t *total, uint64_t bytes)
{
	return !__builtin_add_overflow(*total, bytes, total) && *total <= NATIVE_FILE_BYTES_MAX;
}

/* Has the file debug information, of an amount that can be held? Sections may overlap, and be compressed. */
static bool elf_has_debug_info(Elf *elf)
{
	uint64_t total = 0;
	size_t strings = 0;
	Elf_Scn *section = NULL;
	bool found = false;

	if (elf_getshdrstrndx(elf, &strings) != 0)
		return false;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name = NULL;

		if (!gelf_getshdr(section, &header) || header.sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(elf, strings, header.sh_name);
		/* In this order: libelf reads a compressed section to tell its size. */
		if (!add_within(&total, header.sh_size) ||
		    !add_within(&total, section_uncompressed_bytes(elf, section, &header, name)))
			return false;
		if (section_is_debug_info(name))
			found = true;
	}
	return found;
}

/* Also of compressed sections and of those for LTO, whose names libdw knows as well. */
static bool section_has_strings(const char *name)
{
	return name && (strstr(name, "debug_str") || strstr(name, "debug_line_str")) &&
	       !strstr(name, "debug_str_offsets");
}

/* libdw (0.188) reads the last string of a section past the section's end if no NUL ends it. Asked when libdw
 * has uncompressed the sections. */
static bool elf_strings_end(Elf *elf)
{
	size_t strings = 0;
	Elf_Scn *section = NULL;

	if (elf_getshdrstrndx(elf, &strings) != 0)
		return false;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		Elf_Data *data = NULL;

		if (!gelf_getshdr(section, &header) || header.sh_type == SHT_NOBITS ||
		    !section_has_strings(elf_strptr(elf, strings, header.sh_name)))
			continue;
		data = elf_getdata(section, NULL);
		if (data && data->d_buf && data->d_size &&
		    ((const char *)data->d_buf)[data->d_size - 1] != '\0')
			return false;
	}
	return true;
}

/* dwz makes no alternate that has one itself; libdw would open whatever path that names. */
static bool alternate_is_usable(struct debug_file *alternate, Dwarf *dwarf)
{
	const char *name = NULL;
	const void *id = NULL;

	return dwarf && elf_strings_end(alternate->elf) &&
	       dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &id) <= 0;
}

/* Without its alternate file the debug information has holes, which libdw would try to fill by opening
 * whatever path the file names: it is not used then. */
static int native_object_open_alternate(struct native_object *object, const struct debug_opener *opener)
{
	int error = debug_file_find_alternate(object->dwarf, opener, &object->alternate);

	if (error == -ENODATA)
		return 0;
	if (error == 0) {
		if (elf_has_debug_info(object->alternate->elf))
			object->alternate_dwarf = dwarf_begin_elf(object->alternate->elf, DWARF_C_READ, NULL);
		if (alternate_is_usable(object->alternate, object->alternate_dwarf)) {
			dwarf_setalt(object->dwarf, object->alternate_dwarf);
			return 0;
		}
		error = -ENOENT;
	}
	dwarf_end(object->dwarf);
	object->dwarf = NULL;
	return error == -ENOENT ? 0 : error;
}

static int native_object_open_dwarf(struct native_object *object, const struct debug_opener *opener)
{
	Elf *elf = object->elf;
	int error = 0;

	if (!elf_has_debug_info(elf)) {
		error = debug_file_find(elf, opener, &object->debug);
		if (error < 0)
			return error == -ENOENT ? 0 : error;
		elf = object->debug->elf;
		if (!elf_has_debug_info(elf))
			return 0;
	}
	object->dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (!object->dwarf)
		return 0;
	if (!elf_strings_end(elf)) {
		dwarf_end(object->dwarf);
		object->dwarf = NULL;
		return 0;
	}
	error = native_object_open_alternate(object, opener);
	if (error < 0 || !object->dwarf)
		return error;
	return dwarf_index_new(object->dwarf, object->alternate_dwarf, &object->segments, &object->index);
}

/* Only executables and libraries: what is not linked has no addresses. */
static int native_object_open_elf(struct native_object *object)
{
	GElf_Ehdr header;
	struct stat status;

	if (fstat(object->fd, &status) != 0 || (uint64_t)status.st_size > NATIVE_FILE_BYTES_MAX)
		return -ENOEXEC;
	object->elf = elf_begin(object->fd, ELF_C_READ, NULL);
	if (!object->elf || elf_kind(object->elf) != ELF_K_ELF || !gelf_getehdr(object->elf, &header))
		return -ENOEXEC;
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return -ENOEXEC;
	return elf_segments_read(object->elf, &object->segments);
}

int native_object_open(int fd, const struct debug_opener *opener, struct native_object **ret_object)
{
	struct native_object *object = NULL;
	int error = 0;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	object = calloc(1, sizeof(*object));
	if (!object)
		return -ENOMEM;
	/* libelf reads when asked, also after the caller has closed his. */
	object->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	error = object->fd < 0 ? -errno : native_object_open_elf(object);
	if (error == 0)
		error = native_object_open_dwarf(object, opener);
	if (error < 0) {
		native_object_free(object);
		return error;
	}
	*ret_object = object;
	return 0;
}

void native_object_free(struct native_object *object)
{
	if (!object)
		return;
	for (size_t i = 0; i < NATIVE_TABLE_COUNT; i++)
		elf_symbols_free(object->tables[i]);
	dwarf_index_free(object->index);
	dwarf_end(object->dwarf);
	dwarf_end(object->alternate_dwarf);
	debug_file_free(object->alternate);
	debug_file_free(object->debug);
	if (object->elf)
		elf_end(object->elf);
	if (object->fd >= 0)
		close(object->fd);
	free(object);
}

static int native_object_read_tables(struct native_object *object)
{
	int error = 0;

	if (object->tables_read)
		return 0;
	error = elf_symbols_read(object->elf, SHT_SYMTAB, &object->segments,
	                         &object->tables[NATIVE_TABLE_OWN]);
	if (error == 0 && object->debug)
		error = elf_symbols_read(object->debug->elf, SHT_SYMTAB, &object->segments,
		                         &object->tables[NATIVE_TABLE_DEBUG]);
	if (error == 0)
		error = elf_symbols_read(object->elf, SHT_DYNSYM, &object->segments,
		                         &object->tables[NATIVE_TABLE_DYNAMIC]);
	if (error == 0) {
		object->tables_read = true;
		return 0;
	}
	for (size_t i = 0; i < NATIVE_TABLE_COUNT; i++) {
		elf_symbols_free(object->tables[i]);
		object->tables[i] = NULL;
	}
	return error;
}

/* Replaces an empty name by that of the symbol tables, if they have one. */
static int native_name_by_symbol(struct native_object *object, uint64_t address, struct native_name *name)
{
	char *symbol = NULL;
	char *shown = NULL;
	int error = native_object_read_tables(object);

	if (error < 0)
		return error;
	for (size_t i = 0; i < NATIVE_TABLE_COUNT && !symbol; i++)
		symbol = elf_symbols_find(object->tables[i], address);
	if (!symbol)
		return 0;
	shown = demangle_or_copy(symbol);
	free(symbol);
	if (!shown)
		return -ENOMEM;
	free(name->function);
	name->function = shown;
	return 0;
}

static int native_names_unknown(struct native_name **ret_names, size_t *ret_count)
{
	struct native_name *names = calloc(1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	names->function = strdup("");
	names->file = strdup("");
	if (!names->function || !names->file) {
		native_names_free(names, 1);
		return -ENOMEM;
	}
	*ret_names = names;
	*ret_count = 1;
	return 0;
}

int native_object_name(struct native_object *object, uint64_t file_offset, bool is_return_address,
                       struct native_name **ret_names, size_t *ret_count)
{
	struct native_name *names = NULL;
	size_t count = 0;
	uint64_t address = 0;
	int error = 0;

	/* A call may be the last instruction of its segment. */
	if (is_return_address && file_offset > 0)
		file_offset--;
	error = elf_segments_vaddr(&object->segments, file_offset, &address);
	if (error < 0)
		return error;
	error = object->index ? dwarf_names_find(object->index, address, &names, &count) : -ENOENT;
	if (error == -ENOENT)
		error = native_names_unknown(&names, &count);
	if (error < 0)
		return error;
	if (!*names[count - 1].function)
		error = native_name_by_symbol(object, address, &names[count - 1]);
	if (error < 0) {
		native_names_free(names, count);
		return error;
	}
	*ret_names = names;
	*ret_count = count;
	return 0;
}
