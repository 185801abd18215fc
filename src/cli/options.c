/*
 * The options of the commands that follow processes. See options.h.
 */
#include "cli/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "cli/option_values.h"
#include "model/build.h"

enum option_id {
	OPTION_JSON = 256,
	OPTION_LOG_FILE,
	OPTION_MIN_COUNT,
	OPTION_SAMPLES,
	OPTION_INHERITED,
	OPTION_STACKS,
	OPTION_APP,
	OPTION_RING_SIZE,
	OPTION_ERROR_EXITCODE,
	OPTION_FAIL_ON,
	OPTION_AS_ROOT,
	OPTION_USER,
	OPTION_COLOR,
	OPTION_CGROUP,
	OPTION_COMM,
};

#define OF_BOTH (OPTIONS_OF_RUN | OPTIONS_OF_WATCH)

struct option_row {
	unsigned int commands; /* enum options_command */
	int id;                /* a letter, or enum option_id */
	const char *name;
	const char *argument; /* NULL: none */
	const char *help;
};

static const struct option_row rows[] = {
        {OPTIONS_OF_WATCH, 'p', "pid", "PID,..", "these processes; repeatable"},
        {OPTIONS_OF_WATCH, 'a', "all", NULL, "all processes of the machine"},
        {OPTIONS_OF_WATCH, OPTION_CGROUP, "cgroup", "PATH",
         "processes of that control group, and of those below it"},
        {OPTIONS_OF_WATCH, OPTION_COMM, "comm", "GLOB", "processes whose name (comm) matches"},
        {OPTIONS_OF_RUN, OPTION_JSON, "json", "FILE",
         "write the report as JSON (leftopen.report/1); %p is the command's pid"},
        {OPTIONS_OF_WATCH, OPTION_JSON, "json", "FILE",
         "replace FILE by the report as JSON (leftopen.report/1) at each interval"},
        {OPTIONS_OF_RUN, OPTION_LOG_FILE, "log-file", "FILE",
         "write the text report there and not to standard error"},
        {OPTIONS_OF_WATCH, OPTION_LOG_FILE, "log-file", "FILE",
         "write the tables there and not to standard output"},
        {OPTIONS_OF_RUN, 'T', "top", "N", "findings shown in the text report (20; 0: all)"},
        {OPTIONS_OF_WATCH, 'T', "top", "N", "places shown in each table (10; 0: all)"},
        {OF_BOTH, OPTION_MIN_COUNT, "min-count", "N", "instances that make a leak (3)"},
        {OF_BOTH, OPTION_SAMPLES, "samples", "N", "samples of each group in JSON (20; 0: all)"},
        {OF_BOTH, OPTION_INHERITED, "inherited", NULL,
         "list in JSON, too, what was there before or was handed down"},
        {OF_BOTH, OPTION_STACKS, "stacks", "MODE",
         "full: as .eh_frame says, Python's own frames in the place of its interpreter's (default); "
         "native: the same without Python's; fp: by frame pointers, Python's own beside them; none"},
        {OF_BOTH, OPTION_APP, "app", "GLOB",
         "files that match are application code, before all other rules; repeatable"},
        {OF_BOTH, OPTION_RING_SIZE, "ring-size", "SIZE",
         "of the ring between kernel and leftopen, of which there is one for each 4 CPUs: 64K to 1G (16M)"},
        {OPTIONS_OF_RUN, OPTION_ERROR_EXITCODE, "error-exitcode", "N",
         "exit so when CMD succeeded and something was found"},
        {OPTIONS_OF_RUN, OPTION_FAIL_ON, "fail-on", "WHAT",
         "what counts as found: leak (default) or left-open"},
        {OPTIONS_OF_RUN, OPTION_AS_ROOT, "as-root", NULL,
         "under sudo: run CMD as root and not as who called sudo"},
        {OPTIONS_OF_RUN, OPTION_USER, "user", "NAME", "run CMD as that user"},
        {OPTIONS_OF_RUN, 'q', "quiet", NULL, "print the verdict only, and nothing where nothing was found"},
        {OPTIONS_OF_WATCH, 'q', "quiet", NULL, "print no table"},
        {OF_BOTH, 'v', "verbose", NULL, "print whole stacks"},
        {OF_BOTH, OPTION_COLOR, "color", "WHEN", "auto (default; see NO_COLOR), always, never"},
        {OF_BOTH, 'h', "help", NULL, "print this"},
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

struct command_text {
	const char *name;
	const char *before; /* the table of options */
	const char *after;
};

static const struct command_text run_text = {
        .name = "run",
        .before = "usage: leftopen run [OPTION...] -- CMD [ARG...]\n"
                  "\n"
                  "Runs CMD, follows it and all that descends from it, and says which lines of code left "
                  "descriptors\n"
                  "and memory mappings open. The report goes to standard error when CMD ends; standard "
                  "input and\n"
                  "output are CMD's.\n",
        .after = "signals: SIGINT and SIGQUIT from the terminal are CMD's business; SIGTERM and SIGHUP "
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
};

static const struct command_text watch_text = {
        .name = "watch",
        .before = "usage: leftopen watch -p PID,.. | -a | --cgroup PATH | --comm GLOB [OPTION...] [INTERVAL "
                  "[COUNT]]\n"
                  "\n"
                  "Follows processes that run already, and all that descends from them, and prints every "
                  "INTERVAL\n"
                  "seconds (2; fractions are allowed) which lines of code hold the most descriptors and "
                  "mappings:\n"
                  "those that were made since following began. Ends after COUNT tables, or with a last one "
                  "when it is\n"
                  "interrupted.\n",
        .after = "signals: SIGINT and SIGTERM print a last table and end it; SIGUSR1 prints a table now.\n"
                 "\n"
                 "exit status: 0; 125: leftopen itself failed, or there was no such process.\n"
                 "\n"
                 "examples:\n"
                 "  sudo leftopen watch -p 4711                       every 2 seconds, until Ctrl-C\n"
                 "  sudo leftopen watch -a 10                         the whole machine, every 10 seconds\n"
                 "  sudo leftopen watch --comm 'gunicorn*' 60 5       five tables, a minute apart\n"
                 "  sudo leftopen watch --cgroup /system.slice/nginx.service --json /run/nginx.json\n",
};

static const struct command_text *text_of(enum options_command command)
{
	return command == OPTIONS_OF_RUN ? &run_text : &watch_text;
}

static void print_help(enum options_command command, FILE *to)
{
	(void)fprintf(to, "%s\n", text_of(command)->before);
	for (size_t i = 0; i < ROW_COUNT; i++) {
		char left[64];

		if (!(rows[i].commands & command))
			continue;
		(void)snprintf(left, sizeof(left), "%s%c%s--%s%s%s", rows[i].id < 256 ? "-" : "",
		               rows[i].id < 256 ? rows[i].id : ' ', rows[i].id < 256 ? ", " : "   ",
		               rows[i].name, rows[i].argument ? "=" : "",
		               rows[i].argument ? rows[i].argument : "");
		(void)fprintf(to, "  %-26s %s\n", left, rows[i].help);
	}
	(void)fprintf(to, "\n%s", text_of(command)->after);
}

#define TAKE_CHOICE(option, text, choices, ret_value) \
	option_values_choice(option, text, choices, sizeof(choices) / sizeof(choices[0]), ret_value)

static bool take_modes(struct options *options, int id, const char *argument)
{
	static const struct option_choice stacks[] = {{"full", STACKS_MODE_FULL},
	                                              {"native", STACKS_MODE_NATIVE},
	                                              {"fp", STACKS_MODE_FP},
	                                              {"none", STACKS_MODE_NONE}};
	static const struct option_choice fail_on[] = {{"leak", FAIL_ON_LEAK},
	                                               {"left-open", FAIL_ON_LEFT_OPEN}};
	static const struct option_choice colors[] = {
	        {"auto", COLOR_AUTO}, {"always", COLOR_ALWAYS}, {"never", COLOR_NEVER}};
	int value = 0;

	switch (id) {
	case OPTION_STACKS:
		if (!TAKE_CHOICE("--stacks", argument, stacks, &value))
			return false;
		options->loader.stacks = value;
		return true;
	case OPTION_FAIL_ON:
		if (!TAKE_CHOICE("--fail-on", argument, fail_on, &value))
			return false;
		options->fail_on = value;
		return true;
	default:
		if (!TAKE_CHOICE("--color", argument, colors, &value))
			return false;
		options->color = value;
		return true;
	}
}

static bool take_number(struct options *options, int id, const char *argument)
{
	unsigned long long number = 0;

	switch (id) {
	case 'T':
		if (!option_values_number("--top", argument, 0, 1000000, &number))
			return false;
		options->top = number;
		return true;
	case OPTION_MIN_COUNT:
		if (!option_values_number("--min-count", argument, 1, 1000000, &number))
			return false;
		options->min_count = number;
		return true;
	case OPTION_SAMPLES:
		if (!option_values_number("--samples", argument, 0, 10000000, &number))
			return false;
		options->samples = number;
		return true;
	case OPTION_ERROR_EXITCODE:
		if (!option_values_number("--error-exitcode", argument, 1, 255, &number))
			return false;
		options->error_exitcode = (int)number;
		return true;
	default:
		return take_modes(options, id, argument);
	}
}

static bool take_selection(struct options *options, int id, const char *argument)
{
	static const struct {
		int id;
		enum selection_kind kind;
	} kinds[] = {{'a', SELECTION_ALL},
	             {'p', SELECTION_PROCESSES},
	             {OPTION_CGROUP, SELECTION_CGROUP},
	             {OPTION_COMM, SELECTION_COMM}};
	struct selection *selection = &options->selection;
	enum selection_kind kind = SELECTION_NONE;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].id == id)
			kind = kinds[i].kind;
	if (selection->kind != SELECTION_NONE && (selection->kind != kind || id != 'p')) {
		message_error("only one of -p, -a, --cgroup and --comm can be given, and only -p repeatedly");
		return false;
	}
	selection->kind = kind;
	if (id == 'p')
		return option_values_process_ids("-p", argument, &selection->process_ids,
		                                 &selection->process_count);
	selection->pattern = argument;
	return true;
}

static bool take_option(struct options *options, int id, const char *argument)
{
	switch (id) {
	case 'p':
	case 'a':
	case OPTION_CGROUP:
	case OPTION_COMM:
		return take_selection(options, id, argument);
	case OPTION_JSON:
		options->json = argument;
		return true;
	case OPTION_LOG_FILE:
		options->log_file = argument;
		return true;
	case OPTION_APP:
		if (options->app_count == OPTIONS_APP_MAX) {
			message_error("--app can be given %d times at most", OPTIONS_APP_MAX);
			return false;
		}
		options->app[options->app_count++] = argument;
		return true;
	case OPTION_RING_SIZE:
		return option_values_ring_size(argument, &options->loader.ring_bytes);
	case OPTION_INHERITED:
		options->inherited = true;
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
		return take_number(options, id, argument);
	}
}

static bool take_command(struct options *options, int count, char **arguments)
{
	if (!count) {
		message_error("no command given: leftopen run [OPTION...] -- CMD [ARG...]");
		return false;
	}
	options->command = arguments;
	options->command_count = (size_t)count;
	return true;
}

static bool take_interval(struct options *options, int count, char **arguments)
{
	unsigned long long number = 0;

	if (options->selection.kind == SELECTION_NONE) {
		message_error("which processes? -p PID,.. names some, -a means all, --cgroup PATH those of a "
		              "control group, --comm GLOB those of a name; see leftopen watch --help");
		return false;
	}
	if (count > 2) {
		message_error("\"%s\" is too much: what follows the options is INTERVAL and COUNT",
		              arguments[2]);
		return false;
	}
	if (count > 0 &&
	    !option_values_seconds("INTERVAL", arguments[0], OPTIONS_INTERVAL_NS_MIN, &options->interval_ns))
		return false;
	if (count > 1 && !option_values_number("COUNT", arguments[1], 1, 1000000000, &number))
		return false;
	options->count = number;
	return true;
}

/* What getopt_long(3) is told of the command's rows. */
struct getopt_table {
	struct option options[ROW_COUNT + 1];
	char letters[2 * ROW_COUNT + 3];
};

static void fill_getopt(enum options_command command, struct getopt_table *ret_table)
{
	size_t count = 0, length = 0;

	memset(ret_table, 0, sizeof(*ret_table));
	ret_table->letters[length++] = '+';
	ret_table->letters[length++] = ':';
	for (size_t i = 0; i < ROW_COUNT; i++) {
		const struct option_row *row = &rows[i];

		if (!(row->commands & command))
			continue;
		ret_table->options[count++] = (struct option){
		        row->name, row->argument ? required_argument : no_argument, NULL, row->id};
		if (row->id >= 256)
			continue;
		ret_table->letters[length++] = (char)row->id;
		if (row->argument)
			ret_table->letters[length++] = ':';
	}
}

static enum options_outcome parse(enum options_command command, int argc, char **argv,
                                  struct options *options)
{
	const char *name = text_of(command)->name;
	struct getopt_table table;
	int id, at = 1; /* the argument that is looked at: optind stays there while letters stand together */

	fill_getopt(command, &table);
	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while ((id = getopt_long(argc, argv, table.letters, table.options, NULL)) != -1) {
		if (id == 'h') {
			print_help(command, stdout);
			return message_is_written() ? OPTIONS_DONE : OPTIONS_USAGE;
		}
		if (id == ':')
			message_error("%s needs an argument; see leftopen %s --help", argv[at], name);
		if (id == '?')
			message_error("%s is no option of %s; see leftopen %s --help", argv[at], name, name);
		if (id == ':' || id == '?')
			return OPTIONS_USAGE;
		if (!take_option(options, id, optarg))
			return OPTIONS_USAGE;
		at = optind;
	}
	if (command == OPTIONS_OF_RUN)
		return take_command(options, argc - optind, argv + optind) ? OPTIONS_GO_ON : OPTIONS_USAGE;
	return take_interval(options, argc - optind, argv + optind) ? OPTIONS_GO_ON : OPTIONS_USAGE;
}

enum options_outcome options_parse(enum options_command command, int argc, char **argv,
                                   struct options *ret_options)
{
	struct options options = {
	        .loader = {.stacks = STACKS_MODE_FULL, .ring_bytes = LOADER_RING_BYTES_DEFAULT},
	        .top = command == OPTIONS_OF_RUN ? 20 : 10,
	        .min_count = MIN_COUNT_DEFAULT,
	        .samples = SAMPLES_DEFAULT,
	        .interval_ns = OPTIONS_INTERVAL_NS_DEFAULT,
	};
	enum options_outcome outcome = parse(command, argc, argv, &options);

	if (outcome == OPTIONS_GO_ON &&
	    (!option_values_ring_shards(getenv("LEFTOPEN_RING_SHARDS"), &options.loader.ring_shards) ||
	     !option_values_memo(getenv("LEFTOPEN_MEMO"), &options.loader.memo)))
		outcome = OPTIONS_USAGE;
	if (outcome == OPTIONS_GO_ON)
		*ret_options = options;
	else
		options_clear(&options);
	return outcome;
}

void options_clear(struct options *options)
{
	free(options->selection.process_ids);
	options->selection = (struct selection){0};
}
