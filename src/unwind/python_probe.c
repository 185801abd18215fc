/*
 * Looks for CPython in a file on disk: which version, and where its runtime is.
 * Inputs: ELF files that anybody may have written, read by libelf and pread() only: nothing is mapped, so a
 * file that is cut meanwhile cannot end the process. Outputs: addresses that the file claims, which the
 * walker reads from user memory, where a fault is harmless.
 */
#include "unwind/python_layout.h"

#include <errno.h>
#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "unwind/cold_part.h"
#include "unwind/eh_frame.h"
#include "unwind/elf_image.h"
#include "unwind/file_image.h"

/* Before 3.6 nothing is known; it also has no _PyRuntime. */
#define PYTHON_MINOR_OLDEST 6
/* From here on a runtime begins with _Py_DebugOffsets. */
#define PYTHON_MINOR_DEBUG_OFFSETS 13
/* Chosen by: linkers make at most a dozen; the rest of a longer list is left out. */
#define PYTHON_SEGMENTS_MAX 64
/* How much of a file is searched for its version. Chosen by: ten times the largest interpreter. */
#define PYTHON_SEARCH_BYTES_MAX ((uint64_t)256 << 20)
#define PYTHON_CHUNK_BYTES      65536
/* Of its loop. Chosen by: 18 times the largest, Debian 12's. */
#define PYTHON_EVALUATOR_BYTES_MAX ((uint64_t)1 << 20)
/* A symbol table or its strings: libelf holds all of them. Chosen by: a hundred times the largest
 * interpreter. */
#define PYTHON_SYMBOLS_BYTES_MAX ((uint64_t)256 << 20)
/* Longer than what is searched for, so that no hit is lost between two chunks. */
#define PYTHON_OVERLAP_BYTES 16

/* _Py_DebugOffsets (CPython 3.13 Include/internal/pycore_runtime.h) as an array of 64-bit numbers. */
#define DEBUG_OFFSETS_COOKIE        "xdebugpy"
#define DEBUG_OFFSETS_FREE_THREADED 2
#define DEBUG_OFFSETS_COUNT         44

static const struct {
	uint32_t index;
	uint32_t field; /* of struct python_layout */
} debug_offsets[] = {
        {5, offsetof(struct python_layout, runtime_interpreters_head)},
        {8, offsetof(struct python_layout, interpreter_next)},
        {9, offsetof(struct python_layout, interpreter_threads)},
        {21, offsetof(struct python_layout, thread_next)},
        {23, offsetof(struct python_layout, thread_frame)},
        {24, offsetof(struct python_layout, thread_id)},
        {29, offsetof(struct python_layout, frame_previous)},
        {30, offsetof(struct python_layout, frame_code)},
        {31, offsetof(struct python_layout, frame_instruction)},
        {33, offsetof(struct python_layout, frame_owner)},
        {35, offsetof(struct python_layout, code_filename)},
        {37, offsetof(struct python_layout, code_name)},
        {38, offsetof(struct python_layout, code_line_table)},
        {39, offsetof(struct python_layout, code_first_line)},
        {43, offsetof(struct python_layout, code_adaptive)},
};

/* Addresses of what a runtime exports; 0: it does not. */
struct python_symbols {
	uint64_t runtime;
	uint64_t version;
	uint64_t interpreter_head;
	uint64_t thread_current;
	uint64_t evaluator, evaluator_bytes;
};

struct python_file {
	int fd;
	Elf *elf;
	uint64_t size_bytes;
	GElf_Phdr segments[PYTHON_SEGMENTS_MAX];
	size_t segment_count;
	struct python_symbols symbols;
};

static void elf_endp(Elf **elf)
{
	if (*elf)
		elf_end(*elf);
}

static bool python_file_holds(const struct python_file *file, uint64_t offset, uint64_t bytes)
{
	return offset <= file->size_bytes && bytes <= file->size_bytes - offset;
}

/* Sections come last in a file, so one that was cut is noticed by its header alone. */
static int python_file_read_header(struct python_file *file)
{
	GElf_Ehdr header;

	if (elf_kind(file->elf) != ELF_K_ELF || !gelf_getehdr(file->elf, &header))
		return -ENOEXEC;
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
		return -ENOEXEC;
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return -ENOEXEC;
	if (header.e_shoff &&
	    !python_file_holds(file, header.e_shoff, (uint64_t)header.e_shnum * sizeof(GElf_Shdr)))
		return -ENOEXEC;
	return 0;
}

static int python_file_read_segments(struct python_file *file)
{
	size_t count = 0;

	if (elf_getphdrnum(file->elf, &count) != 0)
		return -ENOEXEC;
	for (size_t i = 0; i < count && file->segment_count < PYTHON_SEGMENTS_MAX; i++) {
		GElf_Phdr *segment = &file->segments[file->segment_count];

		if (!gelf_getphdr(file->elf, (int)i, segment))
			return -ENOEXEC;
		if (segment->p_type != PT_LOAD)
			continue;
		if (!python_file_holds(file, segment->p_offset, segment->p_filesz))
			return -ENOEXEC;
		file->segment_count++;
	}
	return file->segment_count ? 0 : -ENOEXEC;
}

/* What the file has at an address, if it has all of it: .bss has nothing. */
static int python_file_read(const struct python_file *file, uint64_t vaddr, void *ret_data, size_t bytes)
{
	for (size_t i = 0; i < file->segment_count; i++) {
		const GElf_Phdr *segment = &file->segments[i];
		uint64_t inside = vaddr - segment->p_vaddr;
		ssize_t got = 0;

		if (vaddr < segment->p_vaddr || inside >= segment->p_filesz ||
		    bytes > segment->p_filesz - inside)
			continue;
		got = fd_read_at(file->fd, ret_data, bytes, segment->p_offset + inside);
		if (got < 0)
			return (int)got;
		return (size_t)got == bytes ? 0 : -ENOEXEC;
	}
	return -ENODATA;
}

static void python_symbols_take(struct python_symbols *symbols, const char *name, const GElf_Sym *symbol)
{
	uint64_t value = symbol->st_value;

	if (strcmp(name, "_PyRuntime") == 0)
		symbols->runtime = value;
	else if (strcmp(name, "Py_Version") == 0)
		symbols->version = value;
	else if (strcmp(name, "PyInterpreterState_Head") == 0)
		symbols->interpreter_head = value;
	else if (strcmp(name, "_PyThreadState_Current") == 0)
		symbols->thread_current = value;
	else if (strcmp(name, "_PyEval_EvalFrameDefault") == 0) {
		symbols->evaluator = value;
		symbols->evaluator_bytes = symbol->st_size;
	}
}

/* The section of that type (a linker makes one) if it and its strings are of a size that can be held. */
static Elf_Scn *python_symbols_section(Elf *elf, uint32_t section_type, GElf_Shdr *ret_header)
{
	Elf_Scn *section = NULL;
	Elf_Scn *strings = NULL;
	GElf_Shdr header;

	while ((section = elf_nextscn(elf, section)))
		if (gelf_getshdr(section, ret_header) && ret_header->sh_type == section_type)
			break;
	if (!section || ret_header->sh_size > PYTHON_SYMBOLS_BYTES_MAX)
		return NULL;
	strings = elf_getscn(elf, ret_header->sh_link);
	if (!strings || !gelf_getshdr(strings, &header) || header.sh_size > PYTHON_SYMBOLS_BYTES_MAX)
		return NULL;
	return section;
}

static int python_symbols_read(struct python_file *file, uint32_t section_type)
{
	GElf_Shdr header;
	GElf_Sym symbol;
	Elf_Scn *section = python_symbols_section(file->elf, section_type, &header);
	Elf_Data *data = section ? elf_getdata(section, NULL) : NULL;

	if (section && !data)
		return -ENOEXEC;
	for (int i = 0; data && gelf_getsym(data, i, &symbol); i++) {
		const char *name = NULL;

		/* Extension modules ask for _PyRuntime: only who has it is a runtime. */
		if (symbol.st_shndx == SHN_UNDEF || !symbol.st_value)
			continue;
		name = elf_strptr(file->elf, header.sh_link, symbol.st_name);
		if (name)
			python_symbols_take(&file->symbols, name, &symbol);
	}
	return 0;
}

static bool python_symbols_complete(const struct python_symbols *symbols)
{
	return symbols->runtime || (symbols->interpreter_head && symbols->thread_current);
}

/* The number in the literal "python3.N" of getpath.c, which ends there; "python3.6m" and paths do not. */
static uint32_t version_in(const char *chunk, size_t bytes)
{
	static const char literal[] = "python3.";
	const char *end = chunk + bytes;
	const char *at = chunk;

	while ((at = memmem(at, (size_t)(end - at), literal, sizeof(literal) - 1))) {
		uint32_t minor = 0;
		const char *digit = at + sizeof(literal) - 1;
		const char *first = digit;

		while (digit < end && digit - first < 3 && *digit >= '0' && *digit <= '9')
			minor = minor * 10 + (uint32_t)(*digit++ - '0');
		if (digit < end && digit > first && *digit == '\0' && minor >= PYTHON_MINOR_OLDEST)
			return minor;
		at = first;
	}
	return 0;
}

static int python_file_search_version(const struct python_file *file, uint32_t *ret_minor)
{
	uint64_t left = PYTHON_SEARCH_BYTES_MAX;
	char *chunk = malloc(PYTHON_CHUNK_BYTES);
	uint32_t minor = 0;
	ssize_t got = 0;

	if (!chunk)
		return -ENOMEM;
	for (size_t i = 0; i < file->segment_count && !minor && got >= 0; i++) {
		const GElf_Phdr *segment = &file->segments[i];
		uint64_t done = 0;

		while (done < segment->p_filesz && !minor && left >= PYTHON_CHUNK_BYTES) {
			uint64_t rest = segment->p_filesz - done;
			size_t wanted = rest < PYTHON_CHUNK_BYTES ? (size_t)rest : PYTHON_CHUNK_BYTES;

			got = fd_read_at(file->fd, chunk, wanted, segment->p_offset + done);
			if (got <= 0)
				break;
			minor = version_in(chunk, (size_t)got);
			if ((size_t)got < PYTHON_CHUNK_BYTES)
				break;
			done += PYTHON_CHUNK_BYTES - PYTHON_OVERLAP_BYTES;
			left -= PYTHON_CHUNK_BYTES;
		}
	}
	free(chunk);
	if (got < 0)
		return (int)got;
	*ret_minor = minor;
	return 0;
}

/* PY_VERSION_HEX in Py_Version, which 3.11 brought; a literal before. 0: neither. */
static int python_file_version(const struct python_file *file, uint32_t *ret_minor)
{
	uint32_t version = 0;

	if (file->symbols.version &&
	    python_file_read(file, file->symbols.version, &version, sizeof(version)) == 0 &&
	    version >> 24 == 3) {
		*ret_minor = version >> 16 & 0xff;
		return 0;
	}
	return python_file_search_version(file, ret_minor);
}

/* 3.6: PyInterpreterState_Head() is `mov interp_head(%rip), %rax; ret`, after endbr64 where the compiler adds
 * it. */
static int python_file_interpreter_head(const struct python_file *file, uint64_t *ret_vaddr)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	static const uint8_t load[] = {0x48, 0x8b, 0x05};
	uint8_t code[sizeof(endbr64) + sizeof(load) + sizeof(int32_t)];
	uint64_t vaddr = file->symbols.interpreter_head;
	const uint8_t *at = code;
	int32_t displacement = 0;

	if (!vaddr || python_file_read(file, vaddr, code, sizeof(code)) != 0)
		return -ENOTSUP;
	if (memcmp(at, endbr64, sizeof(endbr64)) == 0) {
		at += sizeof(endbr64);
		vaddr += sizeof(endbr64);
	}
	if (memcmp(at, load, sizeof(load)) != 0)
		return -ENOTSUP;
	memcpy(&displacement, at + sizeof(load), sizeof(displacement));
	*ret_vaddr = vaddr + sizeof(load) + sizeof(displacement) + (uint64_t)(int64_t)displacement;
	return 0;
}

/* From 3.13 a runtime says itself where things are: a build that differs from the table is not for us. */
static int python_file_check_offsets(const struct python_file *file, const struct python_layout *layout)
{
	uint64_t offsets[DEBUG_OFFSETS_COUNT];

	if (python_file_read(file, file->symbols.runtime, offsets, sizeof(offsets)) != 0)
		return -ENOTSUP;
	if (memcmp(offsets, DEBUG_OFFSETS_COOKIE, sizeof(offsets[0])) != 0 ||
	    offsets[DEBUG_OFFSETS_FREE_THREADED])
		return -ENOTSUP;
	for (size_t i = 0; i < sizeof(debug_offsets) / sizeof(debug_offsets[0]); i++) {
		uint32_t expected = 0;

		memcpy(&expected, (const char *)layout + debug_offsets[i].field, sizeof(expected));
		if (offsets[debug_offsets[i].index] != expected)
			return -ENOTSUP;
	}
	return 0;
}

/* Where in the file an address is. @return whether it has it */
static bool python_file_offset(const struct python_file *file, uint64_t vaddr, __u64 *ret_offset)
{
	for (size_t i = 0; i < file->segment_count; i++) {
		const GElf_Phdr *segment = &file->segments[i];
		uint64_t inside = vaddr - segment->p_vaddr;

		if (vaddr < segment->p_vaddr || inside >= segment->p_filesz)
			continue;
		*ret_offset = segment->p_offset + inside;
		return true;
	}
	return false;
}

/* @return 0, or an error of which the file is the cause: then its evaluations there are not known */
static int python_file_cold_part(const struct python_file *file, uint64_t *ret_vaddr, uint64_t *ret_bytes)
{
	const struct python_symbols *symbols = &file->symbols;
	struct eh_frame *frame = NULL;
	struct file_image bytes;
	struct elf_image image;
	uint8_t *code = NULL;
	int error;

	if (symbols->evaluator_bytes > PYTHON_EVALUATOR_BYTES_MAX)
		return -E2BIG;
	error = file_image_read(file->fd, &bytes);
	if (error)
		return error;
	code = malloc(symbols->evaluator_bytes);
	error = code ? python_file_read(file, symbols->evaluator, code, symbols->evaluator_bytes) : -ENOMEM;
	if (!error)
		error = elf_image_read(bytes.bytes, bytes.size_bytes, &image);
	if (!error)
		error = eh_frame_new(&image, &frame);
	if (!error)
		error = cold_part_find(frame, code, symbols->evaluator_bytes, symbols->evaluator, ret_vaddr,
		                       ret_bytes);
	eh_frame_free(frame);
	free(code);
	file_image_free(&bytes);
	return error;
}

/* Where in the file the interpreter's own loop is, by which native frames of it are known. */
static int python_file_find_evaluator(const struct python_file *file, struct known_file *known)
{
	uint64_t cold, cold_bytes;
	int error;

	if (!file->symbols.evaluator_bytes ||
	    !python_file_offset(file, file->symbols.evaluator, &known->evaluator_offset))
		return 0;
	known->evaluator_bytes = file->symbols.evaluator_bytes;
	error = python_file_cold_part(file, &cold, &cold_bytes);
	if (!error && python_file_offset(file, cold, &known->evaluator_cold_offset))
		known->evaluator_cold_bytes = cold_bytes;
	return error == -ENOMEM ? error : 0;
}

static int python_file_describe(const struct python_file *file, struct known_file *ret_file,
                                uint32_t *ret_minor)
{
	const struct python_layout *layout = NULL;
	const GElf_Phdr *code = NULL;
	uint64_t runtime = file->symbols.runtime;
	uint32_t minor = 0;
	int error = python_file_version(file, &minor);

	if (error < 0)
		return error;
	for (size_t i = 0; i < file->segment_count && !code; i++)
		if (file->segments[i].p_flags & PF_X)
			code = &file->segments[i];
	if (!code)
		return -ENOEXEC;
	layout = python_layout_find(minor);
	if (!layout || (minor != PYTHON_MINOR_OLDEST && !runtime))
		error = -ENOTSUP;
	else if (minor == PYTHON_MINOR_OLDEST)
		error = python_file_interpreter_head(file, &runtime);
	else if (minor >= PYTHON_MINOR_DEBUG_OFFSETS)
		error = python_file_check_offsets(file, layout);
	if (error == 0 || error == -ENOTSUP)
		*ret_minor = minor;
	if (error)
		return error;
	*ret_file = (struct known_file){
	        .python_minor = minor,
	        .runtime_vaddr = runtime,
	        .executable_vaddr = code->p_vaddr,
	        .executable_offset = code->p_offset,
	};
	return python_file_find_evaluator(file, ret_file);
}

int python_layout_probe(int fd, struct known_file *ret_file, uint32_t *ret_minor)
{
	__attribute__((cleanup(elf_endp))) Elf *elf = NULL;
	struct python_file file = {.fd = fd};
	struct stat status;
	char first = 0;
	ssize_t got = 0;
	int error = 0;

	if (fstat(fd, &status) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	/* libelf does not tell a file that cannot be read from one that is none of its own. */
	got = fd_read_at(fd, &first, 1, 0);
	if (got < 0)
		return (int)got;
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return -ENOEXEC;
	file.elf = elf;
	file.size_bytes = (uint64_t)status.st_size;
	error = python_file_read_header(&file);
	if (error == 0)
		error = python_file_read_segments(&file);
	if (error == 0)
		error = python_symbols_read(&file, SHT_DYNSYM);
	/* Large, and no program needs it to run, but a static interpreter without -rdynamic has nothing else.
	 */
	if (error == 0 && !python_symbols_complete(&file.symbols))
		error = python_symbols_read(&file, SHT_SYMTAB);
	if (error < 0)
		return error;
	if (!python_symbols_complete(&file.symbols))
		return -ENOENT;
	return python_file_describe(&file, ret_file, ret_minor);
}
