/*
 * Messages between leftopen and the worker that reads ELF and DWARF, over a socket of type SOCK_SEQPACKET.
 * Inputs: what the other end sent. Outputs: messages of bounded length, with a descriptor where there is one.
 * The worker reads files that anybody may have written, so that neither its lengths nor its counts are
 * believed.
 */
#ifndef LEFTOPEN_SYMBOLS_WIRE_H
#define LEFTOPEN_SYMBOLS_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "symbols/debug_place.h"
#include "symbols/demangle.h"

/* Of what follows: a worker that speaks another one is not spoken to. */
#define WIRE_VERSION 1
/* Sources are found by a path, which has no more. */
#define WIRE_FILE_MAX 4096
/* Chosen by: the longest item, a name, with room to spare. */
#define WIRE_BYTES_MAX 16384
/* Places that one question asks for. Chosen by: a deep stack has no more in one file. */
#define WIRE_PLACES_MAX 256
/* Files that the worker has open. Chosen by: a desktop program maps some 200. */
#define WIRE_FILES_MAX 512

enum wire_type {
	WIRE_READY = 1, /* worker: struct wire_ready; it is confined */
	WIRE_OPEN,      /* to the worker: struct wire_open, and the file's descriptor */
	WIRE_NEED,  /* worker, before WIRE_OPENED: struct wire_need, and a name of as many bytes as it says */
	WIRE_GIVEN, /* to the worker: struct wire_status, and a descriptor where it is 0 */
	WIRE_OPENED, /* worker: struct wire_status */
	WIRE_ASK,    /* to the worker: struct wire_ask, and as many file offsets as it says (uint64_t) */
	WIRE_ANSWER, /* worker, so many as it takes: for each place in their order a struct wire_answer, and
	              * after it as many names as that says: struct wire_name, function and file. No name is
	              * in two messages. */
	WIRE_FORGET, /* to the worker: close all files */
	WIRE_TYPE_END,
};

struct wire_ready {
	uint32_t version;
};

struct wire_open {
	uint32_t slot; /* less than WIRE_FILES_MAX, and free */
};

struct wire_need {
	uint32_t place; /* enum debug_place */
	uint32_t bytes; /* at most DEBUG_NAME_MAX, no NUL among them */
};

struct wire_status {
	int32_t error; /* 0 or -errno */
};

struct wire_ask {
	uint32_t slot;
	uint32_t count; /* 1 to WIRE_PLACES_MAX */
};

struct wire_answer {
	int32_t error;  /* 0, or -errno: it has no names */
	uint32_t count; /* of names, innermost first, at most NATIVE_INLINE_MAX */
};

struct wire_name {
	uint32_t line;
	uint32_t inlined;        /* 0 or 1 */
	uint32_t function_bytes; /* at most DEMANGLE_NAME_MAX, no NUL among them */
	uint32_t file_bytes;     /* at most WIRE_FILE_MAX, no NUL among them */
};

_Static_assert(sizeof(struct wire_need) == 8 && sizeof(struct wire_ask) == 8 &&
                       sizeof(struct wire_answer) == 8 && sizeof(struct wire_name) == 16,
               "no padding");
_Static_assert(sizeof(struct wire_name) + DEMANGLE_NAME_MAX + WIRE_FILE_MAX <= WIRE_BYTES_MAX &&
                       sizeof(struct wire_need) + DEBUG_NAME_MAX <= WIRE_BYTES_MAX &&
                       sizeof(struct wire_ask) + WIRE_PLACES_MAX * sizeof(uint64_t) <= WIRE_BYTES_MAX,
               "the longest messages fit");

/* A message as it is put together or taken apart. */
struct wire_message {
	uint32_t type;
	int fd;         /* goes along, or came along and is the receiver's to close; -1: none */
	uint32_t bytes; /* of content */
	uint32_t taken; /* of them, by wire_take() */
	uint8_t content[WIRE_BYTES_MAX];
};

/** Begins a message without content. @param fd stays the caller's; -1: none */
void wire_begin(struct wire_message *message, enum wire_type type, int fd);

/** Appends to a message's content. @return 0; -EMSGSIZE: it would have more than WIRE_BYTES_MAX */
int wire_put(struct wire_message *message, const void *data, size_t bytes);

/** Takes the next so many bytes out of a message. @return 0; -EBADMSG: it has not so many left */
int wire_take(struct wire_message *message, void *ret_data, size_t bytes);

/**
 * Takes the next so many bytes out of a message as a string.
 * @param most that the string may have
 * @param ret_text for free()
 * @return 0; -EBADMSG: it has not so many left, or they are more than most, or one is NUL; -ENOMEM
 */
int wire_take_text(struct wire_message *message, size_t bytes, size_t most, char **ret_text);

/** Is all of the message's content taken? @return 0; -EBADMSG: there is more */
int wire_end(const struct wire_message *message);

/**
 * Sends a message.
 * @param flags of sendmsg(2), as MSG_DONTWAIT
 * @return 0; -errno of sendmsg(2): -EPIPE where the other end is closed
 */
int wire_send(int socket_fd, const struct wire_message *message, int flags);

/**
 * Receives a message.
 * @param flags of recvmsg(2), as MSG_DONTWAIT
 * @param ret_message on failure without a descriptor
 * @return 0; -EPIPE: the other end is closed; -EBADMSG: shorter than a header, longer than WIRE_BYTES_MAX, of
 *	no known type, of another length than it says, with more than one descriptor; -errno of recvmsg(2)
 * @source unix(7)
 */
int wire_receive(int socket_fd, struct wire_message *ret_message, int flags);

#endif
