"""A limit in words, for any tokenizer: the text ends with a whole word."""

from __future__ import annotations

import math


class WordLimit:
    """Counts the words of a text as it grows, and ends it at the white space after the last one that is allowed.

    Words are what white space separates, as a reader counts them: `said, "no` are two. The rest of a word that the
    prompt began belongs to the prompt and is not counted.
    """

    def __init__(self, most: int, prompt: str) -> None:
        """`most`: words allowed; 0 for any number."""
        self._most = most or math.inf
        self._count = 0
        self._in_word = bool(prompt) and not prompt[-1].isspace()
        self.reached = False

    def push(self, text: str) -> str:
        """The part of `text` that still belongs to the text; sets `reached` once the last word is complete."""
        for place, character in enumerate(text):
            if not character.isspace():
                self._count += not self._in_word
                self._in_word = True
            elif self._in_word and self._count == self._most:
                self.reached = True
                return text[:place]
            else:
                self._in_word = False
        return text
