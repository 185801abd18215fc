/*
 * The loader's own state, for the files that it consists of.
 */
#ifndef LEFTOPEN_LOAD_LOADER_INTERNAL_H
#define LEFTOPEN_LOAD_LOADER_INTERNAL_H

#include <bpf/libbpf.h>

#include "load/holder.h"
#include "load/loader.h"
#include "load/rings.h"
#include "load/survey.h"
#include "load/unwind_shards.h"

#define LINKS_MAX 2048

struct leftopen_bpf;

struct loader {
	struct leftopen_bpf *skeleton;
	struct rings *rings;
	int ring_fds[RING_SHARDS_MAX];    /* of shards, where there are several; -1: none */
	uint32_t ring_shards, ring_bytes; /* of each */
	struct holder *holder;
	struct survey *survey;               /* NULL: none was made yet */
	struct unwind_shards *unwind_shards; /* the same */
	unwind_evicted_fn evicted;           /* NULL: nobody is told */
	void *evicted_context;
	struct bpf_link *links[LINKS_MAX];
	size_t link_count;
	int stats_fd;
	loader_event_fn consumer;
	void *consumer_context;
};

#endif
