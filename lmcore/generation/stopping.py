"""Stop texts: the text is held back as long as it might be the beginning of one, so that no part of it is ever shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Piece:
    """One token of a text, as it is shown.

    `probability` is the model's own for this token, at temperature 1 and before any penalty or filter; `nll` =
    -ln(probability) in nats. `text` may be empty: the first bytes of a character, or the token that ends a text.
    `alternatives` are the likeliest tokens at this place with the model's own probability, likeliest first.
    """

    sample: int
    text: str
    token_id: int
    probability: float
    nll: float
    alternatives: tuple[tuple[str, float], ...] = ()


class StopFilter:
    """Passes pieces on and ends before the first stop text, also when that is spread over several tokens.

    Only what may still become a stop text is held back; an empty stop text stops nothing.
    """

    def __init__(self, stop_texts: Iterable[str]) -> None:
        self._stop_texts = [text for text in stop_texts if text]
        self._held: list[Piece] = []
        self.stopped = False

    def push(self, piece: Piece) -> list[Piece]:
        """What may be shown now that `piece` has come; sets `stopped` when a stop text is complete."""
        if not self._stop_texts:
            return [piece]
        self._held.append(piece)
        text = "".join(held.text for held in self._held)
        found = [place for place in (text.find(stop) for stop in self._stop_texts) if place >= 0]
        if found:
            self.stopped = True
            shown, self._held = _before(self._held, min(found)), []
            return shown
        return self._release(len(text) - _unfinished(text, self._stop_texts))

    def flush(self) -> list[Piece]:
        """The rest, when the text ends otherwise."""
        return self._release(sum(len(held.text) for held in self._held))

    def _release(self, length: int) -> list[Piece]:
        """The held pieces that lie wholly within the first `length` characters."""
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


def _before(pieces: list[Piece], length: int) -> list[Piece]:
    """The pieces up to character `length`, the last one cut there."""
    shown, start = [], 0
    for piece in pieces:
        if start >= length:
            break
        shown.append(replace(piece, text=piece.text[: length - start]))
        start += len(piece.text)
    return shown
