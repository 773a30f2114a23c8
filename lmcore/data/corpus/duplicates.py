"""Lines that occur in two splits: a model tested on text that it has memorized looks better than it is."""

from __future__ import annotations

from hashlib import blake2b

from lmcore.data.corpus.pieces import TextPiece

# Shorter lines (headings, "Chapter I", a speaker's name) repeat in honest text.
SHORTEST_LINE = 40
_TITLES = {"val": "validation", "test": "test"}


class DuplicateLines:
    """Counts lines of more than 40 characters that the validation or test text shares with another split.

    It keeps 8 bytes of hash for each such line of these two splits; they must be read before the training text.
    """

    def __init__(self) -> None:
        self.held: dict[str, set[bytes]] = {"test": set(), "val": set()}
        self.shared: dict[tuple[str, str], set[bytes]] = {
            ("val", "test"): set(),
            ("val", "train"): set(),
            ("test", "train"): set(),
        }

    def reader(self, split: str) -> LineReader:
        """Reads one split's text."""
        return LineReader(self, split)

    def see(self, split: str, line: str) -> None:
        """Take note of one line."""
        digest = blake2b(line.encode(), digest_size=8).digest()
        if split == "train":
            for other, lines in self.held.items():
                if digest in lines:
                    self.shared[other, "train"].add(digest)
            return
        if split == "val" and digest in self.held["test"]:
            self.shared["val", "test"].add(digest)
        self.held[split].add(digest)

    def warnings(self) -> list[str]:
        """One sentence for each pair of splits that share lines."""
        return [
            f"{len(lines)} of {len(self.held[split])} distinct long lines of the {_TITLES[split]} text also occur in "
            f"the {_TITLES.get(other, 'training')} text: scores on these lines are too optimistic."
            for (split, other), lines in self.shared.items()
            if lines
        ]


class LineReader:
    """Puts lines together from pieces."""

    def __init__(self, duplicates: DuplicateLines, split: str) -> None:
        self._duplicates, self._split, self._held = duplicates, split, ""

    def push(self, piece: TextPiece) -> None:
        """More text."""
        *whole, self._held = (self._held + piece.text).split("\n")
        for line in whole:
            self._see(line)
        if piece.ends_document:
            self.close()

    def close(self) -> None:
        """The last line may lack its newline."""
        self._see(self._held)
        self._held = ""

    def _see(self, line: str) -> None:
        if len(line := line.strip()) > SHORTEST_LINE:
            self._duplicates.see(self._split, line)
