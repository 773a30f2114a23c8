"""A grid of cells with dots inside: two by four to a cell in braille, one in ASCII."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tui.charts.growing import Floats

# Bits of U+2800 + bits, by row and column of the dot (Unicode, "Braille Patterns").
BRAILLE_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint16)


class Canvas:
    """Cells [height, width] of characters and style numbers, drawn on by curve, then by single characters.

    Args:
        width, height: Cells.
        ascii_only: One dot a cell, drawn as the curve's ASCII character.
    """

    def __init__(self, width: int, height: int, *, ascii_only: bool = False) -> None:
        self.width, self.height = width, height
        self.dots_x, self.dots_y = (1, 1) if ascii_only else (2, 4)
        self.ascii_only = ascii_only
        self.chars: NDArray[np.str_] = np.full((height, width), " ", dtype="<U1")
        self.styles: NDArray[np.int16] = np.zeros((height, width), dtype=np.int16)
        self._bits: NDArray[np.uint16] = np.zeros((height, width), dtype=np.uint16)
        self._rows = np.arange(height * self.dots_y)[:, None]

    @property
    def columns(self) -> int:
        """Columns of dots."""
        return self.width * self.dots_x

    @property
    def rows(self) -> int:
        """Rows of dots."""
        return self.height * self.dots_y

    def spans(self, top: Floats, bottom: Floats, style: int, character: str) -> None:
        """Fill each column of dots from row `top` [columns] to row `bottom` [columns] (fractions are rounded); NaN:
        nothing.
        """
        with np.errstate(invalid="ignore"):
            shown = (bottom >= -0.5) & (top <= self.rows - 0.5)
            first, last = np.rint(top), np.rint(bottom)
            dots = (self._rows >= first) & (self._rows <= last) & shown
        if self.ascii_only:
            self.chars[dots] = character
            self.styles[dots] = style
            return
        cells = dots.reshape(self.height, 4, self.width, 2)
        bits = np.einsum("hywx,yx->hw", cells, BRAILLE_BITS, dtype=np.uint16, casting="unsafe")
        drawn = bits > 0
        self._bits |= bits
        self.styles[drawn] = style

    def put(self, column: int, row: int, text: str, style: int) -> None:
        """Write characters from a cell to the right; what lies outside is left out."""
        if not 0 <= row < self.height:
            return
        for offset, character in enumerate(text):
            if 0 <= column + offset < self.width:
                self.chars[row, column + offset] = character
                self.styles[row, column + offset] = style

    def flush(self) -> None:
        """Turn the dots drawn so far into characters; what is put afterwards lies on top."""
        if not self.ascii_only:
            drawn = self._bits > 0
            codes = self._bits[drawn].astype(np.uint32) + 0x2800
            self.chars[drawn] = codes.view("<U1") if len(codes) else codes
            self._bits[:] = 0

    def runs(self, row: int) -> list[tuple[str, int]]:
        """A row as pieces of text with one style each."""
        text = self.chars[row].tobytes().decode("utf-32-le").replace("\0", " ")
        styles = self.styles[row]
        borders = [0, *(np.flatnonzero(np.diff(styles)) + 1).tolist(), self.width]
        return [(text[start:end], int(styles[start])) for start, end in pairwise(borders)]
