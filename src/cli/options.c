/*
 * The options of `leftopen run`. See options.h.
 */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "model/build.h"

enum option_id {
	OPTION_JSON = 256,
	OPTION_LOG_FILE,
	OPTION_MIN_COUNT,
	OPTION_SAMPLES,
	OPTION_STACKS,
	OPTION_APP,
	OPTION_RING_SIZE,
	OPTION_ERROR_EXITCODE,
	OPTION_FAIL_ON,
	OPTION_AS_ROOT,
	OPTION_USER,
	OPTION_COLOR,
};

struct option_row {
	int id; /* a letter, or enum option_id */
	const char *name;
	const char *argument; /* NULL: none */
	const char *help;
};

static const struct option_row rows[] = {
        {OPTION_JSON, "json", "FILE",
         "write the report as JSON (leftopen.report/1); %p is the command's pid"},
        {OPTION_LOG_FILE, "log-file", "FILE", "write the text report there and not to standard error"},
        {'T', "top", "N", "findings shown in the text report (20; 0: all)"},
        {OPTION_MIN_COUNT, "min-count", "N", "instances that make a leak (3)"},
        {OPTION_SAMPLES, "samples", "N", "samples of each group in JSON (20; 0: all)"},
        {OPTION_STACKS, "stacks", "MODE",
         "fp: by frame pointers, Python's own frames beside them (default); none"},
        {OPTION_APP, "app", "GLOB",
         "files that match are application code, before all other rules; repeatable"},
        {OPTION_RING_SIZE, "ring-size", "SIZE", "of the ring between kernel and leftopen: 64K to 1G (16M)"},
        {OPTION_ERROR_EXITCODE, "error-exitcode", "N", "exit so when CMD succeeded and something was found"},
        {OPTION_FAIL_ON, "fail-on", "WHAT", "what counts as found: leak (default) or left-open"},
        {OPTION_AS_ROOT, "as-root", NULL, "under sudo: run CMD as root and not as who called sudo"},
        {OPTION_USER, "user", "NAME", "run CMD as that user"},
        {'q', "quiet", NULL, "print the verdict only, and nothing where nothing was found"},
        {'v', "verbose", NULL, "print whole stacks"},
        {OPTION_COLOR, "color", "WHEN", "auto (default; see NO_COLOR), always, never"},
        {'h', "help", NULL, "print this"},
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static void print_help(FILE *to)
{
	(void)fputs("usage: leftopen run [OPTION...] -- CMD [ARG...]\n"
	            "\n"
	            "Runs CMD, follows it and all that descends from it, and says which lines of code left "
	            "descriptors\n"
	            "and memory mappings open. The report goes to standard error when CMD ends; standard "
	            "input and\n"
	            "output are CMD's.\n"
	            "\n",
	            to);
	for (size_t i = 0; i < ROW_COUNT; i++) {
		char left[64];

		(void)snprintf(left, sizeof(left), "%s%c%s--%s%s%s", rows[i].id < 256 ? "-" : "",
		               rows[i].id < 256 ? rows[i].id : ' ', rows[i].id < 256 ? ", " : "   ",
		               rows[i].name, rows[i].argument ? "=" : "",
		               rows[i].argument ? rows[i].argument : "");
		(void)fprintf(to, "  %-26s %s\n", left, rows[i].help);
	}
	(void)fputs("\n"
	            "signals: SIGINT and SIGQUIT from the terminal are CMD's business; SIGTERM and SIGHUP "
	            "are handed to\n"
	            "CMD; SIGUSR1 prints a report now and goes on.\n"
	            "\n"
	            "exit status: CMD's, or the signal that killed it; 125: leftopen itself failed; 126: CMD "
	            "cannot be\n"
	            "run; 127: CMD was not found; N of --error-exitcode=N.\n"
	            "\n"
	            "examples:\n"
	            "  sudo leftopen run -- pytest tests/integration\n"
	            "  sudo leftopen run --json=report.json --error-exitcode=3 -- ./server --once\n"
	            "  sudo leftopen run --log-file=/tmp/left-%p.txt -- make -j4\n",
	            to);
}

/* @return whether the text is a whole number between least and most */
static bool parse_number(const char *option, const char *text, unsigned long long least,
                         unsigned long long most, unsigned long long *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	if (!errno && end != text && !*end && text[0] != '-' && *ret_number >= least && *ret_number <= most)
		return true;
	message_error("--%s takes a whole number from %llu to %llu, not \"%s\"", option, least, most, text);
	return false;
}

static bool parse_size(const char *text, uint32_t *ret_bytes)
{
	static const char units[] = "KMG";
	unsigned long long number;
	const char *unit;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (number > LOADER_RING_BYTES_MAX) /* also before it is shifted, so that no bit is lost */
		number = 0;
	if (unit)
		number <<= 10 * (unit - units + 1);
	if (!errno && end != text && text[0] != '-' && (!*end || (unit && !end[1])) &&
	    number >= LOADER_RING_BYTES_MIN && number <= LOADER_RING_BYTES_MAX && !(number & (number - 1))) {
		*ret_bytes = (uint32_t)number;
		return true;
	}
	message_error("--ring-size takes a power of two from 64K to 1G, not \"%s\"", text);
	return false;
}

struct choice {
	const char *name;
	int value;
};

static bool parse_choice(const char *option, const char *text, const struct choice *choices, size_t count,
                         int *ret_value)
{
	char list[128] = "";

	for (size_t i = 0; i < count; i++) {
		if (!strcmp(choices[i].name, text)) {
			*ret_value = choices[i].value;
			return true;
		}
		(void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
		               choices[i].name);
	}
	message_error("--%s takes one of %s, not \"%s\"", option, list, text);
	return false;
}

#define PARSE_CHOICE(option, text, choices, ret_value) \
	parse_choice(option, text, choices, sizeof(choices) / sizeof(choices[0]), ret_value)

static bool take_modes(struct run_options *options, int id, const char *argument)
{
	static const struct choice stacks[] = {{"fp", STACKS_MODE_FP}, {"none", STACKS_MODE_NONE}};
	static const struct choice fail_on[] = {{"leak", FAIL_ON_LEAK}, {"left-open", FAIL_ON_LEFT_OPEN}};
	static const struct choice colors[] = {
	        {"auto", COLOR_AUTO}, {"always", COLOR_ALWAYS}, {"never", COLOR_NEVER}};
	int value = 0;

	switch (id) {
	case OPTION_STACKS:
		if (!PARSE_CHOICE("stacks", argument, stacks, &value))
			return false;
		options->loader.stacks = value;
		return true;
	case OPTION_FAIL_ON:
		if (!PARSE_CHOICE("fail-on", argument, fail_on, &value))
			return false;
		options->fail_on = value;
		return true;
	default:
		if (!PARSE_CHOICE("color", argument, colors, &value))
			return false;
		options->color = value;
		return true;
	}
}

static bool take_option(struct run_options *options, int id, const char *argument)
{
	unsigned long long number = 0;

	switch (id) {
	case OPTION_JSON:
		options->json = argument;
		return true;
	case OPTION_LOG_FILE:
		options->log_file = argument;
		return true;
	case 'T':
		if (!parse_number("top", argument, 0, 1000000, &number))
			return false;
		options->top = number;
		return true;
	case OPTION_MIN_COUNT:
		if (!parse_number("min-count", argument, 1, 1000000, &number))
			return false;
		options->min_count = number;
		return true;
	case OPTION_SAMPLES:
		if (!parse_number("samples", argument, 0, 10000000, &number))
			return false;
		options->samples = number;
		return true;
	case OPTION_APP:
		if (options->app_count == OPTIONS_APP_MAX) {
			message_error("--app can be given %d times at most", OPTIONS_APP_MAX);
			return false;
		}
		options->app[options->app_count++] = argument;
		return true;
	case OPTION_RING_SIZE:
		return parse_size(argument, &options->loader.ring_bytes);
	case OPTION_ERROR_EXITCODE:
		if (!parse_number("error-exitcode", argument, 1, 255, &number))
			return false;
		options->error_exitcode = (int)number;
		return true;
	case OPTION_AS_ROOT:
		options->as_root = true;
		return true;
	case OPTION_USER:
		options->user = argument;
		return true;
	case 'q':
		options->quiet = true;
		return true;
	case 'v':
		options->verbose = true;
		return true;
	default:
		return take_modes(options, id, argument);
	}
}

enum options_outcome options_parse_run(int argc, char **argv, struct run_options *ret_options)
{
	struct option long_options[ROW_COUNT + 1] = {0};
	struct run_options options = {
	        .loader = {.stacks = STACKS_MODE_FP, .ring_bytes = LOADER_RING_BYTES_DEFAULT},
	        .top = 20,
	        .min_count = MIN_COUNT_DEFAULT,
	        .samples = SAMPLES_DEFAULT,
	};
	int id, at = 1; /* the argument that is looked at: optind stays there while letters stand together */

	for (size_t i = 0; i < ROW_COUNT; i++)
		long_options[i] = (struct option){
		        rows[i].name, rows[i].argument ? required_argument : no_argument, NULL, rows[i].id};
	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while ((id = getopt_long(argc, argv, "+:T:qvh", long_options, NULL)) != -1) {
		if (id == 'h') {
			print_help(stdout);
			return message_is_written() ? OPTIONS_DONE : OPTIONS_USAGE;
		}
		if (id == '?' || id == ':') {
			message_error(id == ':' ? "%s needs an argument; see leftopen run --help"
			                        : "%s is no option of run; see leftopen run --help",
			              argv[at]);
			return OPTIONS_USAGE;
		}
		if (!take_option(&options, id, optarg))
			return OPTIONS_USAGE;
		at = optind;
	}
	if (optind >= argc) {
		message_error("no command given: leftopen run [OPTION...] -- CMD [ARG...]");
		return OPTIONS_USAGE;
	}
	options.command = argv + optind;
	options.command_count = (size_t)(argc - optind);
	*ret_options = options;
	return OPTIONS_RUN;
}
