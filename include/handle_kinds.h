/*
 * Enumerations of the table of handle kinds, for both sides of the kernel boundary.
 * Inputs: handle_kinds.def. Outputs: enum handle_kind, handle_type, handle_origin.
 */
#ifndef LEFTOPEN_HANDLE_KINDS_H
#define LEFTOPEN_HANDLE_KINDS_H

enum handle_kind {
#define HANDLE_KIND(id, name, unit, shape, on_fork, on_exec, limit) HANDLE_KIND_##id,
#include "handle_kinds.def"
	HANDLE_KIND_COUNT
};

enum handle_type {
#define HANDLE_TYPE(id, kind, name) HANDLE_TYPE_##id,
#include "handle_kinds.def"
	HANDLE_TYPE_COUNT,
	/* Only in the table's rows, never of a handle: the type is found from the copied handle or the file.
	 */
	HANDLE_TYPE_SAME,
	HANDLE_TYPE_BY_FILE
};

enum handle_origin {
#define HANDLE_ORIGIN(id, kind, name, type) HANDLE_ORIGIN_##id,
#include "handle_kinds.def"
	HANDLE_ORIGIN_COUNT
};

#endif
