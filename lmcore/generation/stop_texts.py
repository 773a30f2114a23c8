"""Stop texts: a text is held back as long as it might be the beginning of one, so that no part of it is ever shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lmcore.generation.generated_token import GeneratedToken


class StopFilter:
    """Passes tokens on and ends before the first stop text, also when that is spread over several tokens.

    Only what may still become a stop text is held back; an empty stop text stops nothing.
    """

    def __init__(self, stop_texts: Iterable[str]) -> None:
        self._stop_texts = [text for text in stop_texts if text]
        self._held: list[GeneratedToken] = []
        self.stopped = False

    def push(self, token: GeneratedToken) -> list[GeneratedToken]:
        """What may be shown now that `token` has come; sets `stopped` when a stop text is complete."""
        if not self._stop_texts:
            return [token]
        self._held.append(token)
        text = "".join(held.text for held in self._held)
        found = [place for place in (text.find(stop) for stop in self._stop_texts) if place >= 0]
        if found:
            self.stopped = True
            shown, self._held = _before(self._held, min(found)), []
            return shown
        return self._release(len(text) - _unfinished(text, self._stop_texts))

    def flush(self) -> list[GeneratedToken]:
        """The rest, when the text ends otherwise."""
        return self._release(sum(len(held.text) for held in self._held))

    def _release(self, length: int) -> list[GeneratedToken]:
        """The held tokens that lie wholly within the first `length` characters."""
        count = end = 0
        for held in self._held:
            end += len(held.text)
            if end > length:
                break
            count += 1
        released, self._held = self._held[:count], self._held[count:]
        return released


def _unfinished(text: str, stop_texts: Sequence[str]) -> int:
    """Length of the longest end of `text` that begins a stop text."""
    longest = max(len(stop) for stop in stop_texts)
    return next(
        (n for n in range(min(len(text), longest), 0, -1) if any(stop.startswith(text[-n:]) for stop in stop_texts)), 0
    )


def _before(tokens: list[GeneratedToken], length: int) -> list[GeneratedToken]:
    """The tokens up to character `length`, the last one cut there."""
    shown, start = [], 0
    for token in tokens:
        if start >= length:
            break
        shown.append(replace(token, text=token.text[: length - start]))
        start += len(token.text)
    return shown
