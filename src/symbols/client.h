/*
 * Names for snapshots: what the model asks (model/naming.h), answered from mapped files, code objects and
 * what JIT compilers write.
 * Called when a report is made, never while events are consumed.
 */
#ifndef LEFTOPEN_SYMBOLS_CLIENT_H
#define LEFTOPEN_SYMBOLS_CLIENT_H

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

/** @return what to hand to snapshot_new(); valid as long as the client */
struct namer symbols_namer(struct symbols *symbols);

#endif
