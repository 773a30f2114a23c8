"""Tokens to lines: words are kept whole although they may come in several tokens, and text is only ever appended."""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells

PROMPT, MARK, HEADING = -1, -2, -3
"""Stand for a token's number where a fragment is none."""

_ATOMS = re.compile(r"\n|[^\S\n]+|\S+")

Fragment = tuple[int, str]


class Wrapped:
    """Lines of fragments, each (number of its token, text), no wider than `width` cells."""

    def __init__(self, width: int) -> None:
        self.width = max(width, 1)
        self.lines: list[list[Fragment]] = [[]]
        self._used = 0
        self._word_at = 0  # fragment of the last line with which its unfinished word begins
        self._word_width = 0

    def push(self, number: int, text: str) -> None:
        """Append the text of a token."""
        for atom in _ATOMS.findall(text.expandtabs(4)):
            if atom == "\n":
                self._new_line()
            elif atom.isspace():
                self._push_space(number, atom)
            else:
                self._push_word(number, atom)

    def push_line(self, number: int, text: str) -> None:
        """A line of its own."""
        if self.lines[-1]:
            self._new_line()
        self.lines[-1].append((number, chop_cells(text, self.width)[0] if text else ""))
        self._new_line()

    def line_of(self, number: int) -> int | None:
        """The first line on which a token stands."""
        return next((y for y, line in enumerate(self.lines) if any(own == number for own, _ in line)), None)

    def token_at(self, x: int, y: int) -> int | None:
        """The token at a cell."""
        if not 0 <= y < len(self.lines):
            return None
        for number, text in self.lines[y]:
            x -= cell_len(text)
            if x < 0:
                return number if number >= 0 else None
        return None

    def _push_space(self, number: int, atom: str) -> None:
        room = self.width - self._used
        if room > 0:
            self._append(number, atom[:room])
        self._word_at, self._word_width = len(self.lines[-1]), 0

    def _push_word(self, number: int, atom: str) -> None:
        size = cell_len(atom)
        if self._used + size > self.width and self._used > self._word_width and self._word_width + size <= self.width:
            begun = self.lines[-1][self._word_at :]
            del self.lines[-1][self._word_at :]
            width = self._word_width
            self._new_line()
            self.lines[-1], self._used, self._word_width = begun, width, width
        elif self._used + size > self.width and self._used > self._word_width == 0:
            self._new_line()
        while self._used + cell_len(atom) > self.width:
            head = chop_cells(atom, max(self.width - self._used, 1))[0]
            if self._used and self._used + cell_len(head) > self.width:
                head = ""  # not even one character has room
            self._append(number, head)
            atom = atom[len(head) :]
            self._new_line()
        if atom:
            self._append(number, atom)
            self._word_width += cell_len(atom)

    def _append(self, number: int, text: str) -> None:
        if not text:
            return
        self.lines[-1].append((number, text))
        self._used += cell_len(text)

    def _new_line(self) -> None:
        self.lines.append([])
        self._used = self._word_at = self._word_width = 0
