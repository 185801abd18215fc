/*
 * The entries of .eh_frame, by hand-made files: how they are found, encodings, and what is broken.
 */
#include "unwind/eh_frame.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "eh_image.h"
#include "unwind/elf_image.h"

TestSuite(eh_frame, .timeout = 60);

#define CODE_VADDR (EH_IMAGE_VADDR + EH_IMAGE_CODE)

static int read_frame(struct eh_image *image, struct eh_frame **ret_frame)
{
	static struct elf_image headers;
	const uint8_t *bytes = eh_image_end(image);
	int error = elf_image_read(bytes, image->count, &headers);

	return error < 0 ? error : eh_frame_new(&headers, ret_frame);
}

/* How many functions it has, and that none was left out. The first begins where the code does. */
static size_t count_functions(struct eh_image *image)
{
	struct eh_frame *frame = NULL;
	size_t count = 0;

	cr_assert_eq(read_frame(image, &frame), 0);
	cr_assert_eq(frame->unreadable_count, 0);
	count = frame->function_count;
	if (count) {
		cr_assert_eq(frame->functions[0].start, CODE_VADDR, "%lx", frame->functions[0].start);
		cr_assert_eq(frame->functions[0].end, CODE_VADDR + 0x10, "%lx", frame->functions[0].end);
	}
	eh_frame_free(frame);
	free(image->bytes);
	return count;
}

static void assert_unreadable(struct eh_image *image)
{
	struct eh_frame *frame = NULL;

	cr_assert_eq(read_frame(image, &frame), 0);
	cr_assert_eq(frame->function_count, 0);
	cr_assert_eq(frame->unreadable_count, 1);
	eh_frame_free(frame);
	free(image->bytes);
}

static void assert_error(struct eh_image *image, int error)
{
	struct eh_frame *frame = NULL;
	int got = read_frame(image, &frame);

	cr_assert_eq(got, error, "%d", got);
	free(image->bytes);
}

static struct eh_image usual_image(void)
{
	struct eh_image image = eh_image_begin();

	eh_put_usual_cie(&image);
	eh_put_fde(&image, EH_IMAGE_CODE, 0x10, NULL, 0);
	return image;
}

Test(eh_frame, found_by_program_header)
{
	struct eh_image image = usual_image();

	eh_put_u32(&image, 0);
	cr_assert_eq(count_functions(&image), 1);
}

Test(eh_frame, found_by_section)
{
	struct eh_image image = usual_image();

	eh_put_section(&image);
	cr_assert_eq(count_functions(&image), 1);
}

/* The terminator ends it, whatever follows; without one it ends with the section. */
Test(eh_frame, terminator)
{
	struct eh_image image = usual_image();

	eh_put_u32(&image, 0);
	eh_put_fde(&image, EH_IMAGE_CODE + 0x20, 0x10, NULL, 0);
	eh_put_section(&image);
	cr_assert_eq(count_functions(&image), 1);
	/* Something else is behind it that no length tells. */
	image = usual_image();
	eh_put(&image, "something else", 14);
	cr_assert_eq(count_functions(&image), 1);
}

Test(eh_frame, none)
{
	struct eh_image image = usual_image();

	eh_programs(&image)[1].p_type = PT_NULL;
	assert_error(&image, -ENOENT);
	image = usual_image();
	image.bytes[EH_IMAGE_HEADER + 1] = DW_EH_PE_omit;
	assert_error(&image, -ENOENT);
	/* A file of debug information has the section's header only. */
	image = usual_image();
	eh_put_section(&image);
	((Elf64_Shdr *)(image.bytes + eh_elf(&image)->e_shoff))[1].sh_type = SHT_NOBITS;
	assert_error(&image, -ENOENT);
}

Test(eh_frame, broken_place)
{
	struct eh_image image = usual_image();

	image.bytes[EH_IMAGE_HEADER] = 2;
	assert_error(&image, -EINVAL);
	image = usual_image();
	image.bytes[EH_IMAGE_HEADER + 1] = DW_EH_PE_textrel | DW_EH_PE_sdata4;
	assert_error(&image, -EINVAL);
	image = usual_image();
	memset(image.bytes + EH_IMAGE_HEADER + 4, 0x7f, 4);
	assert_error(&image, -EINVAL);
	image = usual_image();
	eh_programs(&image)[1].p_offset = UINT64_MAX - 4;
	assert_error(&image, -EINVAL);
	image = usual_image();
	eh_put_section(&image);
	((Elf64_Shdr *)(image.bytes + eh_elf(&image)->e_shoff))[1].sh_size = UINT64_MAX;
	assert_error(&image, -EINVAL);
}

Test(eh_frame, headers_of_other_files)
{
	struct eh_image image = usual_image();

	image.bytes[EI_CLASS] = ELFCLASS32;
	assert_error(&image, -ENOEXEC);
	image = usual_image();
	eh_elf(&image)->e_machine = EM_AARCH64;
	assert_error(&image, -ENOEXEC);
	image = usual_image();
	eh_elf(&image)->e_type = ET_REL;
	assert_error(&image, -ENOEXEC);
	image = usual_image();
	eh_elf(&image)->e_phnum = 0;
	assert_error(&image, -ENOEXEC);
	image = usual_image();
	eh_elf(&image)->e_phoff = UINT64_MAX - 8;
	assert_error(&image, -EINVAL);
	image = usual_image();
	eh_programs(&image)[0].p_offset = 0x10;
	assert_error(&image, -EINVAL);
	image = usual_image();
	eh_programs(&image)[0].p_vaddr = UINT64_MAX - 8;
	assert_error(&image, -EINVAL);
}

Test(eh_frame, too_many_segments)
{
	struct eh_image image = usual_image();

	eh_elf(&image)->e_phnum = ELF_IMAGE_SEGMENTS_MAX;
	for (size_t i = 2; i < ELF_IMAGE_SEGMENTS_MAX; i++)
		eh_programs(&image)[i].p_type = PT_LOAD;
	cr_assert_eq(count_functions(&image), 1);
	image = usual_image();
	eh_elf(&image)->e_phnum = ELF_IMAGE_SEGMENTS_MAX + 2;
	for (size_t i = 2; i < ELF_IMAGE_SEGMENTS_MAX + 2; i++)
		eh_programs(&image)[i].p_type = PT_LOAD;
	assert_error(&image, -E2BIG);
}

/* A section that cannot be one is none, and what runs is found without. */
Test(eh_frame, broken_section_headers)
{
	struct eh_image image = usual_image();

	eh_put_u32(&image, 0);
	eh_elf(&image)->e_shoff = UINT64_MAX - 8;
	eh_elf(&image)->e_shnum = 3;
	cr_assert_eq(count_functions(&image), 1);
	image = usual_image();
	eh_put_u32(&image, 0);
	eh_put_section(&image);
	eh_programs(&image)[1].p_type = PT_GNU_EH_FRAME;
	((Elf64_Shdr *)(image.bytes + eh_elf(&image)->e_shoff))[0].sh_size = 5;
	cr_assert_eq(count_functions(&image), 1);
}

/* An FDE whose address and size are encoded in a way. */
static struct eh_image encoded_image(uint8_t encoding, const void *location, size_t bytes)
{
	struct eh_image image = eh_image_begin();
	size_t begin = 0;

	eh_put_cie(&image, "zR", &encoding, 1, NULL, 0);
	begin = eh_fde_begin(&image);
	eh_put(&image, location, bytes);
	eh_put_u8(&image, 0);
	eh_entry_end(&image, begin);
	return image;
}

#define ENCODED(encoding, ...) \
	encoded_image(encoding, (uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

Test(eh_frame, encodings_of_addresses)
{
	struct eh_image image;
	/* Where the address stands, by the sizes of what is before it. */
	uint32_t here = EH_IMAGE_FRAME + 4 + 4 + 1 + 3 + 3 + 1 + 1 + 4 + 4;
	int16_t there = (int16_t)(EH_IMAGE_CODE - here);

	image = ENCODED(DW_EH_PE_absptr, 0, 0x10, 0x40, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0);
	cr_assert_eq(count_functions(&image), 1);
	image = ENCODED(DW_EH_PE_udata8, 0, 0x10, 0x40, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0);
	cr_assert_eq(count_functions(&image), 1);
	image = ENCODED(DW_EH_PE_sdata8, 0, 0x10, 0x40, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0);
	cr_assert_eq(count_functions(&image), 1);
	image = ENCODED(DW_EH_PE_udata4, 0, 0x10, 0x40, 0, 0x10, 0, 0, 0);
	cr_assert_eq(count_functions(&image), 1);
	image = ENCODED(DW_EH_PE_sdata4, 0, 0x10, 0x40, 0, 0x10, 0, 0, 0);
	cr_assert_eq(count_functions(&image), 1);
	image = ENCODED(DW_EH_PE_uleb128, 0x80, 0xa0, 0x80, 2, 0x10);
	cr_assert_eq(count_functions(&image), 1);
	image = ENCODED(DW_EH_PE_sleb128, 0x80, 0xa0, 0x80, 2, 0x10);
	cr_assert_eq(count_functions(&image), 1);
	image = ENCODED(DW_EH_PE_pcrel | DW_EH_PE_sdata2, (uint8_t)there, (uint8_t)(there >> 8), 0x10, 0);
	cr_assert_eq(count_functions(&image), 1);
}

Test(eh_frame, encodings_that_are_unknown)
{
	static const uint8_t unknown[] = {
	        DW_EH_PE_textrel | DW_EH_PE_sdata4,
	        DW_EH_PE_datarel | DW_EH_PE_sdata4,
	        DW_EH_PE_funcrel | DW_EH_PE_sdata4,
	        DW_EH_PE_aligned,
	        DW_EH_PE_indirect | EH_PCREL_SDATA4,
	        DW_EH_PE_omit,
	        0x05,
	        0x0f,
	        0x70,
	};

	for (size_t i = 0; i < sizeof(unknown); i++) {
		struct eh_image image =
		        ENCODED(unknown[i], 0, 0x10, 0x40, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0);

		assert_unreadable(&image);
	}
}

Test(eh_frame, functions_that_are_none)
{
	/* Thrown away by the linker; of no size; ends beyond all addresses. */
	struct eh_image image = ENCODED(EH_PCREL_SDATA4, 0, 0, 0, 0, 0x10, 0, 0, 0);

	cr_assert_eq(count_functions(&image), 0);
	image = ENCODED(EH_PCREL_SDATA4, 0, 0x10, 0, 0, 0, 0, 0, 0);
	cr_assert_eq(count_functions(&image), 0);
	image = ENCODED(DW_EH_PE_absptr, 0, 0x10, 0x40, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	                0xff, 0xff);
	assert_unreadable(&image);
}

static struct eh_image augmented_image(const char *letters, const void *data, size_t bytes)
{
	struct eh_image image = eh_image_begin();

	eh_put_cie(&image, letters, data, bytes, NULL, 0);
	eh_put_fde(&image, EH_IMAGE_CODE, 0x10, NULL, 0);
	return image;
}

#define AUGMENTED(letters, ...) \
	augmented_image(letters, (uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

Test(eh_frame, augmentations)
{
	struct eh_image image = AUGMENTED("zPLR", DW_EH_PE_indirect | EH_PCREL_SDATA4, 1, 2, 3, 4,
	                                  EH_PCREL_SDATA4, EH_PCREL_SDATA4);

	cr_assert_eq(count_functions(&image), 1);
	image = AUGMENTED("zRS", EH_PCREL_SDATA4);
	cr_assert_eq(count_functions(&image), 1);
	/* More data than letters. */
	image = AUGMENTED("zR", EH_PCREL_SDATA4, 0, 0);
	cr_assert_eq(count_functions(&image), 1);
	/* Without: absolute addresses, and no size of more data in the FDE. */
	image = eh_image_begin();
	eh_put_cie(&image, "", NULL, 0, NULL, 0);
	size_t begin = eh_fde_begin(&image);
	eh_put_u64(&image, CODE_VADDR);
	eh_put_u64(&image, 0x10);
	eh_entry_end(&image, begin);
	cr_assert_eq(count_functions(&image), 1);
}

Test(eh_frame, augmentations_that_are_unknown)
{
	struct eh_image image = AUGMENTED("zRQ", EH_PCREL_SDATA4);

	assert_unreadable(&image);
	image = AUGMENTED("R", EH_PCREL_SDATA4);
	assert_unreadable(&image);
	image = AUGMENTED("eh", 0, 0, 0, 0, 0, 0, 0, 0);
	assert_unreadable(&image);
	/* Less data than letters. */
	image = AUGMENTED("zPR", DW_EH_PE_absptr, 0, 0, 0, 0, EH_PCREL_SDATA4);
	assert_unreadable(&image);
	image = AUGMENTED("zP", 0x05);
	assert_unreadable(&image);
}

Test(eh_frame, heads_of_cies)
{
	/* From the CIE's beginning. */
	static const struct {
		size_t at;
		uint8_t value;
	} broken[] = {{8, 2}, {8, 5}, {14, 30}, {15, 0x7f}};

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct eh_image image = usual_image();

		image.bytes[EH_IMAGE_FRAME + broken[i].at] = broken[i].value;
		assert_unreadable(&image);
	}
}

static struct eh_image version_image(const void *head, size_t bytes)
{
	struct eh_image image = eh_image_begin();
	size_t begin = eh_entry_begin(&image);

	image.cie = (uint32_t)begin - 4;
	eh_put_u32(&image, 0);
	eh_put(&image, head, bytes);
	eh_entry_end(&image, begin);
	eh_put_fde(&image, EH_IMAGE_CODE, 0x10, NULL, 0);
	return image;
}

Test(eh_frame, versions)
{
	static const uint8_t third[] = {3, 'z', 'R', 0, 1, 0x78, 0x90, 0, 1, EH_PCREL_SDATA4};
	static const uint8_t fourth[] = {4, 'z', 'R', 0, 8, 0, 1, 0x78, 16, 1, EH_PCREL_SDATA4};
	static const uint8_t of_segments[] = {4, 'z', 'R', 0, 8, 4, 1, 0x78, 16, 1, EH_PCREL_SDATA4};
	struct eh_image image = version_image(third, sizeof(third));

	cr_assert_eq(count_functions(&image), 1);
	image = version_image(fourth, sizeof(fourth));
	cr_assert_eq(count_functions(&image), 1);
	image = version_image(of_segments, sizeof(of_segments));
	assert_unreadable(&image);
}

/* Entries of 64 bits, whose distance to the CIE has 32 all the same. */
Test(eh_frame, long_lengths)
{
	struct eh_image image = eh_image_begin();
	size_t begin = 0;

	eh_put_usual_cie(&image);
	eh_put_u32(&image, UINT32_MAX);
	eh_put_u64(&image, 4 + 4 + 4 + 1);
	begin = image.count;
	eh_put_u32(&image, (uint32_t)begin - image.cie);
	eh_put_u32(&image, EH_IMAGE_CODE - (uint32_t)image.count);
	eh_put_u32(&image, 0x10);
	eh_put_u8(&image, 0);
	eh_put_fde(&image, EH_IMAGE_CODE + 0x10, 0x10, NULL, 0);
	eh_put_section(&image);
	cr_assert_eq(count_functions(&image), 2);
}

Test(eh_frame, lengths_beyond_the_section)
{
	static const uint64_t long_lengths[] = {0x100, INT64_MAX, UINT64_MAX - 4, UINT64_MAX};
	struct eh_image image = usual_image();

	eh_put_u32(&image, 0xfffffff0);
	eh_put_section(&image);
	assert_error(&image, -EINVAL);
	for (size_t i = 0; i < sizeof(long_lengths) / sizeof(long_lengths[0]); i++) {
		image = usual_image();
		eh_put_u32(&image, UINT32_MAX);
		eh_put_u64(&image, long_lengths[i]);
		eh_put_section(&image);
		assert_error(&image, -EINVAL);
	}
	/* Too short for what each entry has; cut within the length. */
	for (uint32_t length = 1; length < 4; length++) {
		image = usual_image();
		eh_put_u32(&image, length);
		eh_put_u32(&image, 0);
		eh_put_section(&image);
		assert_error(&image, -EINVAL);
		image = usual_image();
		eh_put(&image, "\x10\0\0", length);
		eh_put_section(&image);
		assert_error(&image, -EINVAL);
	}
}

/* CIEs that are none: the FDE itself, another one, before the section, inside a CIE. */
Test(eh_frame, pointers_to_no_cie)
{
	static const uint32_t distances[] = {4, 4 + 17, 0x7fffffff, 0xfffffffc, 4 + 17 + 8};

	for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
		struct eh_image image = eh_image_begin();
		struct eh_frame *frame = NULL;
		size_t begin = 0;

		eh_put_usual_cie(&image);
		eh_put_fde(&image, EH_IMAGE_CODE, 0x10, NULL, 0);
		begin = eh_entry_begin(&image);
		eh_put_u32(&image, distances[i]);
		eh_put(&image, "\0\x10\x40\0\x10\0\0\0", 9);
		eh_entry_end(&image, begin);
		cr_assert_eq(read_frame(&image, &frame), 0);
		cr_assert_eq(frame->function_count, 1);
		cr_assert_eq(frame->unreadable_count, 1);
		eh_frame_free(frame);
		free(image.bytes);
	}
}

/* FDEs of several CIEs, to and fro. */
Test(eh_frame, several_cies)
{
	struct eh_image image = eh_image_begin();
	struct eh_frame *frame = NULL;
	uint32_t cies[64];

	for (size_t i = 0; i < 64; i++) {
		if (i % 2)
			eh_put_usual_cie(&image);
		else
			eh_put_cie(&image, "zRS", (uint8_t[]){EH_PCREL_SDATA4}, 1, NULL, 0);
		cies[i] = image.cie;
	}
	for (uint32_t i = 0; i < 200; i++) {
		image.cie = cies[i * 37 % 64];
		eh_put_fde(&image, EH_IMAGE_CODE + i, 1, NULL, 0);
	}
	cr_assert_eq(read_frame(&image, &frame), 0);
	cr_assert_eq(frame->function_count, 200);
	for (size_t i = 0; i < 200; i++)
		cr_assert_eq(eh_frame_is_signal(frame, &frame->functions[i]), i * 37 % 2 == 0);
	eh_frame_free(frame);
	free(image.bytes);
}

static int note_invalid(void *context, uint64_t vaddr, const struct cfi_state *state)
{
	*(uint64_t *)context = state ? 0 : vaddr;
	return 0;
}

/* Where a function is is known, and nothing of how to unwind it. */
Test(eh_frame, cie_of_bad_instructions)
{
	static const uint8_t encoding = EH_PCREL_SDATA4;
	struct eh_image image = eh_image_begin();
	struct eh_frame *frame = NULL;
	uint64_t invalid = 0;

	eh_put_cie(&image, "zR", &encoding, 1, "\x3f", 1);
	eh_put_fde(&image, EH_IMAGE_CODE, 0x10, NULL, 0);
	cr_assert_eq(read_frame(&image, &frame), 0);
	cr_assert_eq(frame->function_count, 1);
	cr_assert_eq(eh_frame_run(frame, frame->functions, note_invalid, &invalid), 0);
	cr_assert_eq(invalid, CODE_VADDR);
	eh_frame_free(frame);
	free(image.bytes);
}
