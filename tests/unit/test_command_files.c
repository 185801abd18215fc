/*
 * Tests of which files are looked at before a command starts, with scripts and folders made up.
 */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

#include "cli/command_files.h"
#include "scratch.h"

TestSuite(command_files, .fini = scratch_remove);

static bool lists(const char *command, const char *path_env, const char *wanted)
{
	struct file_set files;
	size_t likely;
	bool found = false;

	cr_assert_eq(command_files_list(command, &(const struct command_search){.path = path_env}, &files,
	                                &likely),
	             0);
	cr_assert_leq(likely, files.count);
	for (size_t i = 0; i < likely; i++)
		found = found || strcmp(files.paths[i], wanted) == 0;
	file_set_clear(&files);
	return found;
}

Test(command_files, a_script_of_env_has_its_interpreter_and_the_library_beside_it)
{
	char *root = scratch_folder(0755);
	char *bin = scratch_string("%s/bin", root), *lib = scratch_string("%s/lib", root);
	char *script = scratch_file(root, "script", "#!/usr/bin/env -S tool -u\n", 0755);

	cr_assert_eq(mkdir(bin, 0755), 0);
	cr_assert_eq(mkdir(lib, 0755), 0);
	char *tool = scratch_file(bin, "tool", "\177ELF", 0755);
	(void)scratch_file(lib, "libpython3.9.so.1.0", "", 0644);
	char *path_env = scratch_string("/no/such/folder:%s", bin);
	cr_expect(lists(script, path_env, tool));
	cr_expect(lists(script, path_env, scratch_string("%s/../lib/libpython3.9.so.1.0", bin)));
	cr_expect(lists(tool, path_env, tool));
	cr_expect_not(lists(script, "/no/such/folder", tool));
}

Test(command_files, an_empty_part_of_path_is_the_working_directory)
{
	char *folder = scratch_folder(0755);
	char *script = scratch_file(folder, "script", "#!/usr/bin/env tool\n", 0755);

	(void)scratch_file(folder, "tool", "\177ELF", 0755);
	cr_assert_eq(chdir(folder), 0);
	cr_expect(lists(script, "/no/such/folder:", "./tool"));
}

Test(command_files, scripts_that_name_each_other_end)
{
	char *folder = scratch_folder(0755);
	char *path = scratch_string("%s/script", folder);
	char *script = scratch_file(folder, "script", scratch_string("#!%s\n", path), 0755);

	cr_expect(lists(script, "/usr/bin", script));
}
