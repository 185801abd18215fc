/*
 * Surveys of running processes. See survey.h.
 */
#include "load/survey.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

/* The programs write a byte for every event or two of at most 4 KiB: what comes between two drains is less
 * than the smallest ring's reserve. */
#define SURVEY_READ_BYTES 2

struct survey {
	struct bpf_link *tables, *ranges;
};

int survey_new(struct bpf_program *tables, struct bpf_program *ranges, struct survey **ret_survey)
{
	struct survey *survey = calloc(1, sizeof(*survey));
	int error = 0;

	if (!survey)
		return -ENOMEM;
	if (bpf_program__fd(tables) < 0 || bpf_program__fd(ranges) < 0) {
		free(survey);
		return -EOPNOTSUPP;
	}
	survey->tables = bpf_program__attach_iter(tables, NULL);
	if (survey->tables)
		survey->ranges = bpf_program__attach_iter(ranges, NULL);
	if (!survey->ranges) {
		error = -errno;
		survey_free(survey);
		return error;
	}
	*ret_survey = survey;
	return 0;
}

static int read_iterator(const struct bpf_link *link, survey_drain_fn drain, void *context)
{
	FD_OWNED int fd = bpf_iter_create(bpf_link__fd(link));
	char bytes[SURVEY_READ_BYTES];
	ssize_t got;
	int error = 0;

	if (fd < 0)
		return -errno;
	do {
		got = read(fd, bytes, sizeof(bytes));
		/* kernel/bpf/bpf_iter.c, bpf_seq_read: a million objects without output. */
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		error = drain(context);
	} while (got && error >= 0);
	return error < 0 ? error : 0;
}

int survey_read(const struct survey *survey, survey_drain_fn drain, void *context)
{
	int error = read_iterator(survey->tables, drain, context);

	return error ? error : read_iterator(survey->ranges, drain, context);
}

void survey_free(struct survey *survey)
{
	if (!survey)
		return;
	(void)bpf_link__destroy(survey->tables);
	(void)bpf_link__destroy(survey->ranges);
	free(survey);
}
