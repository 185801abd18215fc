/*
 * Names for snapshots: what the model asks (model/naming.h), answered from mapped files and code objects.
 * Called when a report is made, never while events are consumed.
 */
#ifndef LEFTOPEN_SYMBOLS_CLIENT_H
#define LEFTOPEN_SYMBOLS_CLIENT_H

#include "model/naming.h"
#include "model/rooms.h"

struct mapped_files;
struct python_codes;
struct symbols;

/**
 * Makes a client.
 * @param files, codes, rules stay the caller's and must outlive the client
 * @param show_progress say on standard error how far it is when it takes longer than a second
 * @return 0, or -ENOMEM
 */
int symbols_new(struct mapped_files *files, const struct python_codes *codes, const struct room_rules *rules,
                bool show_progress, struct symbols **ret_symbols);

/** NULL-safe. */
void symbols_free(struct symbols *symbols);

/** @return what to hand to snapshot_new(); valid as long as the client */
struct namer symbols_namer(struct symbols *symbols);

#endif
