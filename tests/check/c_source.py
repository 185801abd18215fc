"""Reads C source as far as rules.py needs it: comments, includes, and what is declared at the top level.

Inputs: the text of one file. Outputs: a CSource.
Trust: the text is this repository's own and in the layout that clang-format gives it. What a macro makes is
not seen; a function that only a macro defines is not known here.
"""

import re
from collections import namedtuple

Include = namedtuple("Include", "line name quoted")
Function = namedtuple("Function", "line name static docstring")

_TOKEN = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)
_INCLUDE = re.compile(r"""^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]""", re.MULTILINE)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
_ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\)")
_FUNCTION_TYPE = re.compile(r"^typedef\b[^;()]*?\b(\w+)\s*\(", re.MULTILINE)
_NAME = re.compile(r"\b([A-Za-z_]\w*)\s*\(")


def _blank(match):
    """The text's lines stay where they are: only what is on them goes."""
    return re.sub(r"[^\n]", " ", match.group())


class CSource:
    """One C file: .text, .comments [(start, end)], .code (comments and literals blanked, lines kept)."""

    def __init__(self, text):
        self.text = text
        tokens = list(_TOKEN.finditer(text))
        self.comments = [match.span() for match in tokens if match.group()[0] == "/"]
        self.code = _TOKEN.sub(_blank, text)
        self._top_level = _ATTRIBUTE.sub(_blank, _DIRECTIVE.sub(_blank, self.code))

    def line(self, position):
        """The number of the line that `position` is on."""
        return self.text.count("\n", 0, position) + 1

    def includes(self):
        """Every #include that no comment hides, in order."""
        hidden = self.comments
        return [Include(self.line(match.start()), match.group(2), match.group(1) == '"')
                for match in _INCLUDE.finditer(self.text)
                if not any(start <= match.start() < end for start, end in hidden)]

    def functions_declared(self):
        """Functions declared at the top level, by a type of functions too, with their docstrings."""
        types = _FUNCTION_TYPE.findall(self._top_level)
        found = []
        for start, head, ending in self._statements():
            words = head.split()
            if ending == ";" and self._is_function(head):
                found.append(self._function(start, head))
            elif ending == ";" and len(words) == 2 and words[0] in types:
                found.append(Function(self.line(start), words[1], False, self._docstring_before(start)))
        return found

    def functions_defined(self):
        """Functions defined at the top level."""
        return [self._function(start, head) for start, head, ending in self._statements()
                if ending == "}" and self._is_function(head)]

    def _statements(self):
        """Yield (start, head, ending): the head is what stands before a body, or the whole statement."""
        code, depth, start, head_end = self._top_level, 0, 0, None
        for position, character in enumerate(code):
            if character == "{":
                if depth == 0 and head_end is None:
                    head_end = position
                depth += 1
            elif character == "}":
                depth -= 1
                if depth == 0 and self._is_function(code[start:head_end]):
                    yield self._start(start), code[start:head_end], "}"
                    start, head_end = position + 1, None
            elif character == ";" and depth == 0:
                # With a body that is no function's it is a type or an initial value: of no interest.
                if head_end is None:
                    yield self._start(start), code[start:position], ";"
                start, head_end = position + 1, None

    def _start(self, position):
        while position < len(self._top_level) and self._top_level[position].isspace():
            position += 1
        return position

    @staticmethod
    def _is_function(head):
        head = head.strip()
        return (bool(_NAME.search(head)) and head.endswith(")") and "=" not in head and
                not head.startswith(("typedef", "_Static_assert")))

    def _function(self, start, head):
        static = re.search(r"\bstatic\b", head) is not None
        return Function(self.line(start), _NAME.search(head).group(1), static, self._docstring_before(start))

    def _docstring_before(self, position):
        for start, end in reversed(self.comments):
            if end <= position:
                is_next = not self.text[end:position].strip()
                return self.text[start:end] if is_next and self.text.startswith("/**", start) else None
        return None
