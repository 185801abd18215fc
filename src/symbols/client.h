/*
 * Names for snapshots: what the model asks (model/naming.h), answered from mapped files, code objects and
 * what JIT compilers write. Mapped files are read by a worker, a confined process (worker.h).
 * Called when a report is made, never while events are consumed.
 */
#ifndef LEFTOPEN_SYMBOLS_CLIENT_H
#define LEFTOPEN_SYMBOLS_CLIENT_H

#include <stdint.h>

#include "model/naming.h"
#include "model/rooms.h"

struct generated_code;
struct mapped_files;
struct python_codes;
struct symbols;

/**
 * Makes a client.
 * @param files, codes, generated, rules stay the caller's and must outlive the client
 * @return 0, or -ENOMEM
 */
int symbols_new(struct mapped_files *files, const struct python_codes *codes,
                const struct generated_code *generated, const struct room_rules *rules,
                struct symbols **ret_symbols);

/** NULL-safe. */
void symbols_free(struct symbols *symbols);

/** Begins a report. @return what to hand to snapshot_new(); valid as long as the client */
struct namer symbols_namer(struct symbols *symbols);

/** @return the process id of the worker that reads files for it; 0: there is none now */
uint32_t symbols_worker_id(const struct symbols *symbols);

/**
 * Ends the worker that reads files for it; another is started when one is needed. For a process that ends
 * without symbols_free(), as a child that makes a report does.
 */
void symbols_rest(struct symbols *symbols);

#endif
