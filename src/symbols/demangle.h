/*
 * Names of C++ and Rust functions as their authors wrote them.
 * Inputs: names that anybody may have chosen. Outputs: strings of bounded length.
 */
#ifndef LEFTOPEN_SYMBOLS_DEMANGLE_H
#define LEFTOPEN_SYMBOLS_DEMANGLE_H

/* Longer names, before or after demangling, are cut. Chosen by: longer than any line that a report shows. */
#define DEMANGLE_NAME_MAX 4096

/**
 * Demangles a C++ (Itanium ABI) or Rust (legacy and v0) name.
 * @return the name for free(), at most DEMANGLE_NAME_MAX bytes, or NULL: not a mangled name, or out of memory
 * @source https://itanium-cxx-abi.github.io/cxx-abi/abi.html#mangling, Rust RFC 2603
 */
char *demangle(const char *name);

/**
 * A name for showing: demangled if it is mangled, the name itself (cut to DEMANGLE_NAME_MAX) if not.
 * @return the name for free(), or NULL: out of memory
 */
char *demangle_or_copy(const char *name);

#endif
