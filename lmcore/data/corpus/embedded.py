"""The corpus that needs no file and no network."""

from __future__ import annotations

from functools import cache

from lmcore.data.corpus.duplicates import SHORTEST_LINE

EMBEDDED = "python-docs"


@cache
def python_docs() -> list[str]:
    """The language reference that every CPython carries (`pydoc_data.topics`), one document a topic, in alphabetical
    order.

    Many topics are excerpts of longer ones ("if", "while" of "compound"): a topic is left out when most of its long
    lines already stand in a longer one, because otherwise the test text would be in the training text.
    """
    from pydoc_data.topics import topics

    seen: set[str] = set()
    kept = []
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        lines = {line.strip() for line in topics[name].split("\n") if len(line.strip()) > SHORTEST_LINE}
        if 2 * len(lines & seen) <= len(lines):
            kept.append(name)
            seen |= lines
    return [topics[name].strip("\n") + "\n" for name in sorted(kept)]
