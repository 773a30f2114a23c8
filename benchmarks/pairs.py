"""Ours and a peer's, timed in turn, so that whatever else the machine does falls on both."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass
class Comparison:
    """Seconds of each timed call. `ratio` is the median over pairs of peer / ours: above 1, ours is faster."""

    row: str
    tokens: int
    ours: list[float]
    peer: list[float]

    @property
    def ratio(self) -> float | None:
        return statistics.median(p / o for p, o in zip(self.peer, self.ours, strict=True)) if self.peer else None

    def figures(self) -> dict[str, object]:
        """What `--json` prints."""
        rates = {
            side: round(self.tokens / statistics.median(times), 1)
            for side, times in (("ours", self.ours), ("peer", self.peer))
            if times
        }
        return {**asdict(self), "tokens_per_second": rates, "ratio": self.ratio}


def compare(
    row: str, tokens: int, ours: Callable[[], object], peer: Callable[[], object] | None, *, pairs: int, warmup: int = 2
) -> Comparison:
    """Time `pairs` calls of each, alternating which goes first, after `warmup` calls that are not counted."""
    sides = [side for side in (ours, peer) if side is not None]
    times: dict[int, list[float]] = {0: [], 1: []}
    for round_number in range(-warmup, pairs):
        for side in sorted(range(len(sides)), reverse=bool(round_number % 2)):
            start = time.perf_counter()
            sides[side]()
            if round_number >= 0:
                times[side].append(time.perf_counter() - start)
    return Comparison(row, tokens, times[0], times[1])


def show(comparison: Comparison, *, as_json: bool) -> None:
    """One line a row, as it is done."""
    figures = comparison.figures()
    if as_json:
        print(json.dumps(figures), flush=True)
        return
    rates = figures["tokens_per_second"]
    assert isinstance(rates, dict)
    peer = f"peer {rates['peer']:>10,.0f} tok/s   ratio {comparison.ratio:.2f}" if comparison.peer else "no peer given"
    print(f"{comparison.row:<28} ours {rates['ours']:>10,.0f} tok/s   {peer}", flush=True)
