/*
 * Reads the entries of .eh_frame.
 * Inputs: bytes that anybody may have written. Entries are read once each, as the lengths chain them; a CIE
 * is one that the chain came by before, so programs do not overlap and all of them together are no longer
 * than the section. Outputs: functions.
 */
#include "unwind/eh_frame.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "unwind/elf_image.h"

struct eh_cie {
	const uint8_t *at; /* where it begins, which FDEs refer to */
	struct cfi_factors factors;
	struct cfi_state initial;
	bool readable;      /* what stands before the instructions of its FDEs is understood */
	bool program_valid; /* its own instructions are */
	bool is_signal;
	bool has_augmentation_size; /* in FDEs too */
};

/* What reading the section carries along. */
struct eh_parser {
	struct eh_frame *frame;
	size_t function_capacity;
	size_t cie_capacity;
	size_t last_cie;
};

/*
 * The augmentation: letters that say what more there is in the CIE and its FDEs. One that is not known may
 * change what the others mean, so nothing is made of it.
 */
static bool cie_read_augmentation(struct eh_cie *cie, const char *letters, struct byte_reader *reader)
{
	struct byte_reader data = {0};

	if (*letters == 'z') {
		letters++;
		data = byte_reader_cut(reader, byte_reader_leb128(reader, false));
		cie->has_augmentation_size = true;
	} else if (*letters) {
		return false;
	}
	for (; *letters; letters++) {
		switch (*letters) {
		case 'R':
			cie->factors.address_encoding = (uint8_t)byte_reader_unsigned(&data, 1);
			break;
		case 'L':
			(void)byte_reader_unsigned(&data, 1); /* of the handlers' tables */
			break;
		case 'P': /* a function for exceptions */
			(void)byte_reader_formatted(&data, (uint8_t)byte_reader_unsigned(&data, 1));
			break;
		case 'S':
			cie->is_signal = true;
			break;
		default:
			return false;
		}
	}
	return !data.failed && !reader->failed;
}

/* Versions 1 and 3 are .eh_frame's; 4 is .debug_frame's, and some assemblers write it here. */
static bool cie_read_head(struct eh_cie *cie, struct byte_reader *reader)
{
	uint64_t version = byte_reader_unsigned(reader, 1);
	const uint8_t *letters = reader->at;
	const uint8_t *letters_end = memchr(letters, '\0', byte_reader_left(reader));
	uint64_t return_address = 0;

	if (!letters_end || (version != 1 && version != 3 && version != 4))
		return false;
	reader->at = letters_end + 1;
	/* Bytes an address has, and a segment's number. */
	if (version == 4 && byte_reader_unsigned(reader, 2) != sizeof(uint64_t))
		return false;
	cie->factors.code = byte_reader_leb128(reader, false);
	cie->factors.data = byte_reader_leb128(reader, true);
	return_address = version == 1 ? byte_reader_unsigned(reader, 1) : byte_reader_leb128(reader, false);
	return return_address == CFI_RETURN_ADDRESS && !reader->failed &&
	       cie_read_augmentation(cie, (const char *)letters, reader);
}

static int parser_add_cie(struct eh_parser *parser, const uint8_t *at, struct byte_reader *entry)
{
	struct eh_frame *frame = parser->frame;
	struct eh_cie cie = {.at = at, .factors.address_encoding = DW_EH_PE_absptr};

	if (frame->cie_count == EH_FRAME_CIES_MAX)
		return -E2BIG;
	if (array_grow((void **)&frame->cies, &parser->cie_capacity, frame->cie_count + 1,
	               sizeof(*frame->cies)))
		return -ENOMEM;
	cie.readable = cie_read_head(&cie, entry);
	if (cie.readable)
		cie.program_valid = cfi_program_begin(&cie.factors, *entry, &cie.initial);
	frame->cies[frame->cie_count++] = cie;
	return 0;
}

/* The CIE that begins there. They are in the order of their addresses; mostly it is the one before's too. */
static const struct eh_cie *parser_find_cie(struct eh_parser *parser, const uint8_t *at)
{
	const struct eh_cie *cies = parser->frame->cies;
	size_t low = 0;
	size_t high = parser->frame->cie_count;

	if (parser->last_cie < high && cies[parser->last_cie].at == at)
		return &cies[parser->last_cie];
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cies[middle].at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || cies[low - 1].at != at)
		return NULL;
	parser->last_cie = low - 1;
	return &cies[low - 1];
}

static bool function_read(const struct eh_cie *cie, struct byte_reader *entry,
                          struct eh_function *ret_function)
{
	uint64_t start = byte_reader_address(entry, cie->factors.address_encoding);
	/* A size is relative to nothing. */
	uint64_t size = byte_reader_formatted(entry, cie->factors.address_encoding);

	if (cie->has_augmentation_size)
		(void)byte_reader_cut(entry, byte_reader_leb128(entry, false));
	if (entry->failed || start + size < start)
		return false;
	ret_function->start = start;
	ret_function->end = start + size;
	return true;
}

static int parser_add_function(struct eh_parser *parser, const uint8_t *cie_at, struct byte_reader *entry)
{
	struct eh_frame *frame = parser->frame;
	const struct eh_cie *cie = parser_find_cie(parser, cie_at);
	struct eh_function function = {0};

	if (!cie || !cie->readable || !function_read(cie, entry, &function)) {
		frame->unreadable_count++;
		return 0;
	}
	/* Nothing, or what the linker threw away. */
	if (!function.start || function.end == function.start)
		return 0;
	if (frame->function_count == EH_FRAME_FUNCTIONS_MAX)
		return -E2BIG;
	if (array_grow((void **)&frame->functions, &parser->function_capacity, frame->function_count + 1,
	               sizeof(*frame->functions)))
		return -ENOMEM;
	function.cie = (uint32_t)(cie - frame->cies);
	function.program = (uint32_t)(entry->at - frame->section.at);
	function.program_bytes = (uint32_t)byte_reader_left(entry);
	frame->functions[frame->function_count++] = function;
	return 0;
}

/*
 * One entry: length, distance to its CIE (0: it is one), the rest.
 * @return 0; -ENODATA: the terminator; -EINVAL: it is longer than what is left; -E2BIG, -ENOMEM
 */
static int parser_read_entry(struct eh_parser *parser, struct byte_reader *reader)
{
	const uint8_t *at = reader->at;
	const uint8_t *distance_at = NULL;
	uint64_t length = byte_reader_unsigned(reader, 4);
	uint64_t distance = 0;
	struct byte_reader entry;

	if (!reader->failed && !length)
		return -ENODATA;
	if (length == UINT32_MAX)
		length = byte_reader_unsigned(reader, 8);
	entry = byte_reader_cut(reader, length);
	distance_at = entry.at;
	/* Of 4 bytes in 64-bit entries too: gcc's unwind-dw2-fde.h, binutils' readelf. */
	distance = byte_reader_unsigned(&entry, 4);
	if (entry.failed)
		return -EINVAL;
	if (!distance)
		return parser_add_cie(parser, at, &entry);
	if (distance > (uint64_t)(distance_at - parser->frame->section.at)) {
		parser->frame->unreadable_count++;
		return 0;
	}
	return parser_add_function(parser, distance_at - distance, &entry);
}

static int parser_read_section(struct eh_parser *parser, bool is_section)
{
	struct byte_reader reader = parser->frame->section;
	int error = 0;

	/* The terminator is crtend.o's, which not all programs have. */
	while (!error && byte_reader_left(&reader))
		error = parser_read_entry(parser, &reader);
	if (error == -ENODATA)
		return 0;
	/* Without a section's header the end is not known: something else follows. */
	if (error == -EINVAL && !is_section)
		return 0;
	return error;
}

int eh_frame_new(const struct elf_image *image, struct eh_frame **ret_frame)
{
	struct eh_frame *frame = NULL;
	struct eh_parser parser = {0};
	struct byte_reader reader;
	bool is_section = false;
	int error = elf_image_eh_frame(image, &reader, &is_section);

	if (error < 0)
		return error;
	if (byte_reader_left(&reader) > UINT32_MAX)
		return -E2BIG;
	frame = calloc(1, sizeof(*frame));
	if (!frame)
		return -ENOMEM;
	frame->section = reader;
	parser.frame = frame;
	error = parser_read_section(&parser, is_section);
	if (error < 0) {
		eh_frame_free(frame);
		return error;
	}
	*ret_frame = frame;
	return 0;
}

void eh_frame_free(struct eh_frame *frame)
{
	if (!frame)
		return;
	free(frame->functions);
	free(frame->cies);
	free(frame);
}

int eh_frame_run(const struct eh_frame *frame, const struct eh_function *function, cfi_row_fn row,
                 void *context)
{
	const struct eh_cie *cie = &frame->cies[function->cie];
	struct byte_reader program = frame->section;

	program.at += function->program;
	program = byte_reader_cut(&program, function->program_bytes);
	if (!cie->program_valid)
		return row(context, function->start, NULL);
	return cfi_program_run(&cie->factors, program, &cie->initial, function->start, function->end, row,
	                       context);
}

bool eh_frame_is_signal(const struct eh_frame *frame, const struct eh_function *function)
{
	return frame->cies[function->cie].is_signal;
}
