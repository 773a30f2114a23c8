"""`lm data`: list, show, add, download and remove corpora."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from commands.input.confirmation import confirm_deletion
from commands.output.console import clip, note, note_data, put, put_json, width_limit
from commands.output.tables import Column, put_facts, put_table
from lmcore.data import add_corpus, fetch_corpus, list_corpora, removable, remove_corpus, show_corpus
from lmcore.text import harmless, human_bytes

# Columns that name, presence and size take in the list of corpora.
ROOM_FOR_THE_REST = 40


def list_all(*, as_json: bool) -> None:
    """Print every corpus that has a name."""
    corpora = list_corpora()
    if as_json:
        put_json([asdict(corpus) for corpus in corpora])
        return
    headings = [
        Column("corpus"),
        Column("local"),
        Column("kind"),
        Column("size", number=True),
        Column("splits"),
        Column("about"),
    ]
    limit = width_limit()
    room = None if limit is None else limit - ROOM_FOR_THE_REST
    rows = [
        [
            corpus.name,
            "yes" if corpus.available else "no" if corpus.problem else "fetch",
            corpus.kind,
            human_bytes(corpus.bytes) if corpus.bytes else "-",
            " ".join(corpus.splits) or "cut",
            clip(corpus.problem or corpus.about or corpus.where, room),
        ]
        for corpus in corpora
    ]
    put_table(headings, rows, dispensable=("splits", "kind"))


def show(name: str, *, as_json: bool) -> None:
    """Print one corpus and how it begins."""
    corpus = show_corpus(name)
    if as_json:
        put_json(asdict(corpus))
        return
    facts = [
        ("corpus", corpus.name),
        ("where", corpus.where + ("" if corpus.available else f" (not downloaded: `lm data fetch {corpus.name}`)")),
        ("kind", corpus.kind),
        ("size", human_bytes(corpus.bytes) if corpus.bytes else "unknown"),
        ("splits", ", ".join(corpus.splits) or "cut by data.val_fraction and data.test_fraction"),
        ("license", corpus.licence or "unknown"),
        ("about", corpus.about),
    ]
    put_facts([(key, value) for key, value in facts if value])
    if corpus.first_lines:
        put()
    for line in corpus.first_lines:
        put(harmless(line, keep_newlines=False)[:200])


def add(name: str, path: Path) -> None:
    """Give a path a name."""
    corpus = add_corpus(name, path)
    note(f"added {corpus.name} ({harmless(corpus.where, keep_newlines=False)}): use it with --data {corpus.name}")


def fetch(name: str) -> None:
    """Download a corpus, unless it is here, and print where it is."""
    put(str(fetch_corpus(name, report=note_data)))


def remove(name: str, *, sure: bool) -> None:
    """Forget an added name, or delete a downloaded corpus after asking."""
    path = removable(name)
    if path is not None and not sure:
        where = harmless(str(path), keep_newlines=False)
        confirm_deletion(where, f"Delete {where}?")
    remove_corpus(name)
    note(f"removed {harmless(name, keep_newlines=False)}")
