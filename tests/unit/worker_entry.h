/*
 * What the program of the unit tests is when it is started as a worker: leftopen's own, or one that
 * misbehaves.
 */
#ifndef LEFTOPEN_TESTS_UNIT_WORKER_ENTRY_H
#define LEFTOPEN_TESTS_UNIT_WORKER_ENTRY_H

#define WORKER_ENDS         "worker-ends"         /* before it says that it is ready */
#define WORKER_OTHER        "worker-other"        /* says that it speaks another version */
#define WORKER_SILENT       "worker-silent"       /* is ready, and never answers */
#define WORKER_ENDS_ASKED   "worker-ends-asked"   /* when it is asked to open a file */
#define WORKER_GARBAGE      "worker-garbage"      /* answers with random bytes, of one of many lengths */
#define WORKER_WRONG_COUNT  "worker-wrong-count"  /* opens, and says that a place has 2^32-1 names */
#define WORKER_WRONG_LENGTH "worker-wrong-length" /* a name of 2^32-1 bytes */
#define WORKER_NUL          "worker-nul"          /* a name with a NUL in it */
#define WORKER_DESCRIPTOR   "worker-descriptor"   /* a good answer that brings a descriptor */
#define WORKER_MORE         "worker-more"         /* a good answer, and bytes behind it */
#define WORKER_ENDLESS      "worker-endless"      /* asks for debug files for ever */
#define WORKER_PATHS        "worker-paths" /* asks for debug files by paths; ends where it is given one */
#define WORKER_GOOD         "worker-good"  /* a good answer: what the others get wrong is right */

/* What it calls a place where it gives it a name. */
#define WORKER_FUNCTION "invented"
#define WORKER_FILE     "invented.c"

#endif
