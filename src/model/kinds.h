/*
 * The table of handle kinds (include/handle_kinds.def) as data.
 */
#ifndef LEFTOPEN_MODEL_KINDS_H
#define LEFTOPEN_MODEL_KINDS_H

#include <stdbool.h>
#include <stdint.h>

#include "handle_kinds.h"

/* What a kind's handles are: numbers in a table, or addresses in a space. */
enum handle_shape { HANDLE_SHAPE_POINT = 0, HANDLE_SHAPE_RANGE };

/** @return the name as reports print it, "fd"; never NULL for a value below HANDLE_KIND_COUNT */
const char *kinds_kind_name(enum handle_kind kind);

/** @param kind below HANDLE_KIND_COUNT @return the shape of its handles */
enum handle_shape kinds_shape_of_kind(enum handle_kind kind);

/** @return the name as reports print it, "socket"; never NULL for a value below HANDLE_TYPE_COUNT */
const char *kinds_type_name(enum handle_type type);

/** @param type below HANDLE_TYPE_COUNT @return the kind that it is a type of */
enum handle_kind kinds_kind_of_type(enum handle_type type);

/** @return the name of the call, "openat"; never NULL for a value below HANDLE_ORIGIN_COUNT */
const char *kinds_origin_name(enum handle_origin origin);

/**
 * The type of a mapping, as far as its file tells.
 * @param inode 0: it is anonymous
 * @param mode i_mode; a device's memory is no file's
 */
enum handle_type kinds_type_of_mapping(uint64_t inode, uint32_t mode, bool shared);

/** @return the type that a maker gives; HANDLE_TYPE_SAME or HANDLE_TYPE_BY_FILE where it depends */
enum handle_type kinds_type_of_origin(enum handle_origin origin);

/**
 * The type of a descriptor whose maker was not seen, as far as the inode tells.
 * @param mode i_mode
 * @source inode(7)
 */
enum handle_type kinds_type_of_mode(uint32_t mode);

/**
 * The same where the file lies in no folder: its name tells.
 * @param name "[eventfd]", "memfd:x"
 * @return the type; HANDLE_TYPE_OTHER_FD: none that is known by its name
 * @source callers of anon_inode_getfile() in the kernel; mm/shmem.c, mm/secretmem.c
 */
enum handle_type kinds_type_of_bare_name(const char *name);

#endif
