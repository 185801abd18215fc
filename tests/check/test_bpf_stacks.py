"""The programs' stacks are small enough for every kernel.

A program and all that it calls have 512 bytes together. Kernels before 6.8 count each function's in steps of 32 bytes,
where later ones may count steps of 16 (kernel/bpf/verifier.c, check_max_stack_depth), so that what loads here may not
load there.
Purpose: stacks_of() reads the object that is loaded. Inputs: LEFTOPEN_BUILD. Outputs: bytes, with the calls.
"""

import os
import struct
from collections import namedtuple

BUILD = os.environ.get("LEFTOPEN_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build"))
MOST_BYTES = 512
STEP_BYTES = 32

SHT_SYMTAB, SHT_REL, SHF_EXECINSTR, STT_FUNC = 2, 9, 4, 2
Section = namedtuple("Section", "name_at type flags address offset size link info align entry_size")
Symbol = namedtuple("Symbol", "name type section value size")
# Documentation/bpf/standardization/instruction-set.rst
CLASS_MASK, LDX, ST, STX = 0x07, 1, 2, 3
CALL, LOAD_64, COPY, ADD = 0x85, 0x18, 0xbf, 0x07
CALLS_FUNCTION, FRAME = 1, 10


class Object:
    """An ELF file of BPF programs."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = file.read()
        assert self.bytes[:6] == b"\x7fELF\x02\x01", "not a 64-bit, little-endian ELF file"
        at, = struct.unpack_from("<Q", self.bytes, 40)
        size, count = struct.unpack_from("<HH", self.bytes, 58)
        self.sections = [Section(*struct.unpack_from("<IIQQQQIIQQ", self.bytes, at + i * size)) for i in range(count)]
        self.symbols = [symbol for section in self.sections if section.type == SHT_SYMTAB
                        for symbol in self._symbols(section)]
        self.targets = {}  # (section, offset) of an instruction: symbol that it names
        for section in self.sections:
            if section.type == SHT_REL:
                for offset, info in struct.iter_unpack("<QQ", self._content(section)):
                    self.targets[section.info, offset] = self.symbols[info >> 32]
        self.functions = {(symbol.section, symbol.value): symbol for symbol in self.symbols
                          if symbol.type == STT_FUNC and symbol.size}

    def _content(self, section):
        return self.bytes[section.offset:section.offset + section.size]

    def _symbols(self, section):
        names = self._content(self.sections[section.link])
        for name, info, _, index, value, size in struct.iter_unpack("<IBBHQQ", self._content(section)):
            yield Symbol(names[name:names.index(b"\0", name)].decode(), info & 15, index, value, size)

    def instructions(self, function):
        """Yield (offset, opcode, destination, source, offset field, immediate)."""
        content = self._content(self.sections[function.section])
        at = function.value
        while at < function.value + function.size:
            opcode, registers, offset, immediate = struct.unpack_from("<BBhi", content, at)
            yield at, opcode, registers & 15, registers >> 4, offset, immediate
            at += 16 if opcode == LOAD_64 else 8

    def called(self, function):
        """Return the functions that one calls, or hands to a helper that does."""
        found = set()
        for at, opcode, _, source, _, immediate in self.instructions(function):
            symbol = self.targets.get((function.section, at))
            key = None
            if opcode == CALL and source == CALLS_FUNCTION and not symbol:
                key = function.section, at + (immediate + 1) * 8
            elif symbol and opcode == CALL:
                key = symbol.section, symbol.value + (immediate + 1) * 8
            elif symbol and opcode == LOAD_64:
                key = symbol.section, symbol.value + immediate
            if key in self.functions:
                found.add(self.functions[key])
        return found

    def own_bytes(self, function):
        """Return how much of the stack a function has itself, as kernels count that take the largest steps."""
        lowest, copies = 0, set()
        for _, opcode, destination, source, offset, immediate in self.instructions(function):
            kind = opcode & CLASS_MASK
            if kind in (ST, STX) and destination == FRAME or kind == LDX and source == FRAME:
                lowest = min(lowest, offset)
            elif opcode == COPY and source == FRAME:
                copies.add(destination)
                continue
            elif opcode == ADD and destination in copies:
                lowest = min(lowest, immediate)
            copies.discard(destination)
        return -(min(lowest, -1) // STEP_BYTES) * STEP_BYTES


def deepest(object_, function, known):
    """Return (bytes, [name]) of the calls that need most, from a function on."""
    if function not in known:
        below = max((deepest(object_, called, known) for called in object_.called(function)), default=(0, []))
        own = object_.own_bytes(function)
        known[function] = own + below[0], ["%s %d" % (function.name, own)] + below[1]
    return known[function]


def stacks_of(path):
    """Return {program: (bytes, [name])}: what is not in .text is a program."""
    object_, known = Object(path), {}
    called = set().union(*(object_.called(function) for function in object_.functions.values()))
    return {function.name: deepest(object_, function, known) for function in object_.functions.values()
            if function not in called}


def test_programs_fit():
    stacks = stacks_of(os.path.join(BUILD, "leftopen.bpf.o"))
    assert len(stacks) > 50
    assert max(used for used, _ in stacks.values()) > MOST_BYTES / 2
    assert not {name: used for name, used in stacks.items() if used[0] > MOST_BYTES}
