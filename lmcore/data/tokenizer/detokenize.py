"""Words back to readable text."""

from __future__ import annotations

from collections.abc import Callable

_NO_SPACE_BEFORE = frozenset(".,;:!?)]}%…’'")
_NO_SPACE_AFTER = frozenset("([{$£€#")
_DASHES = frozenset(("-", "--", "---", "—", "–", "/", "_"))


class WordJoiner:
    """A stream of words to text: spaces between them, except where punctuation stands close; `<eos>` is a line's end.

    Text that came with spaces around its punctuation (WikiText) gets them back instead.
    """

    def __init__(self, token: Callable[[int], str], *, spaced: bool) -> None:
        self._token = token
        self._spaced = spaced
        self._close = True
        self._in_quotes = False

    def push(self, token_id: int) -> str:
        """The word with the space before it."""
        word = self._token(token_id)
        if word == "<eos>":
            self._close, self._in_quotes = True, False
            return "\n"
        space = "" if self._close or (not self._spaced and self._stands_close(word)) else " "
        self._close = not self._spaced and self._next_stands_close(word)
        return space + word

    def flush(self) -> str:
        """Nothing is held back."""
        return ""

    def _stands_close(self, word: str) -> bool:
        return word in _NO_SPACE_BEFORE or word in _DASHES or (word in ('"', "”") and self._in_quotes) or word == "..."

    def _next_stands_close(self, word: str) -> bool:
        if word in ('"', "“", "”"):
            self._in_quotes = word == "“" or (word == '"' and not self._in_quotes)
            return self._in_quotes
        return word in _NO_SPACE_AFTER or word in _DASHES
