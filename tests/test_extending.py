"""docs/extending.md as it is written: the code blocks of each section are applied to a copy of the code, the files that
they touch are counted and linted, and the commands of the section are run there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "extending.md"
# How many files each kind of extension may touch (docs/design.md, "How far it is to a change").
MOST_FILES = {"architecture": 2, "optimizer": 2, "sampler": 2, "corpus": 1, "panel": 2, "tracker": 1}
_BLOCK = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Edit(NamedTuple):
    """`text` is a new file, or goes after (or before) the one line of an existing file that begins with `anchor`."""

    file: str
    text: str
    anchor: str | None = None
    before: bool = False


@dataclass
class Section:
    """One kind of extension: its edits, and its commands with the lines that each prints."""

    edits: list[Edit] = field(default_factory=list)
    commands: list[tuple[str, list[str]]] = field(default_factory=list)

    @property
    def files(self) -> set[str]:
        """The files that it touches."""
        return {edit.file for edit in self.edits}


def read_guide(text: str) -> dict[str, Section]:
    """The sections of the guide that have code, by the last word of their headings: `## A new architecture`."""
    sections = {}
    for heading, body in re.findall(r"^## A new (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL):
        section = Section()
        for language, info, code in _BLOCK.findall(body):
            options = dict(part.split("=", 1) for part in shlex.split(info or ""))
            if language == "console":
                for line in code.splitlines():
                    if line.startswith("$ "):
                        section.commands.append((line.removeprefix("$ "), []))
                    elif line.startswith(">"):
                        command, expected = section.commands.pop()
                        section.commands.append((f"{command}\n{line.removeprefix('>').removeprefix(' ')}", expected))
                    else:
                        section.commands[-1][1].append(line)
            else:
                anchor = options.get("after", options.get("before"))
                section.edits.append(Edit(options["file"], code, anchor, "before" in options))
        if section.edits or section.commands:
            sections[heading] = section
    return sections


def apply(edits: list[Edit], tree: Path) -> None:
    """Make the edits in a copy of the code."""
    for edit in edits:
        path = tree / edit.file
        if edit.anchor is None:
            assert not path.exists(), f"{edit.file} would be replaced"
            path.write_text(edit.text, encoding="utf-8")
            continue
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        places = [number for number, line in enumerate(lines) if line.strip().startswith(edit.anchor)]
        assert len(places) == 1, f"{edit.file} has {len(places)} lines that begin with {edit.anchor!r}"
        lines.insert(places[0] + (not edit.before), edit.text)
        path.write_text("".join(lines), encoding="utf-8")


def is_printed(expected: list[str], printed: str) -> bool:
    """Whether the lines were printed in this order, however they were wrapped; `…` stands for any text."""
    text, at = " ".join(printed.split()), 0
    for part in (part.strip() for line in expected for part in " ".join(line.split()).split("…")):
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the code and its presets, to work in."""
    for name in ("commands", "lmcore", "tui", "presets"):
        shutil.copytree(ROOT / name, tmp_path / "tree" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("cli.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / "tree")
    return tmp_path / "tree"


def run(command: str, tree: Path) -> subprocess.CompletedProcess[str]:
    """A shell command in the tree, with `lm` and `python` as they would be there."""
    tools = tree.parent / "bin"
    if not tools.exists():
        tools.mkdir()
        shims = {"lm": f'"{sys.executable}" -m cli', "python": f'"{sys.executable}"'}
        for name, program in shims.items():
            (tools / name).write_text(f'#!/bin/sh\nexec {program} "$@"\n')
            (tools / name).chmod(0o755)
    settings = {
        "LM_RUNS": "checkpoints",
        "LM_CACHE": "cache",
        "LM_STATE": "state",
        "LM_DATA": "",
        "COLUMNS": "120",
        "PYTHONPATH": str(tree),
        "PATH": f"{tools}:{os.environ['PATH']}",
    }
    return subprocess.run(
        command,
        shell=True,
        cwd=tree,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )


def test_every_kind_of_extension_has_a_section() -> None:
    assert set(read_guide(GUIDE.read_text(encoding="utf-8"))) == set(MOST_FILES)


@pytest.mark.parametrize("kind", MOST_FILES)
def test_a_section_touches_few_files_and_passes_the_linter(kind: str, tree: Path) -> None:
    section = read_guide(GUIDE.read_text(encoding="utf-8"))[kind]
    assert 0 < len(section.files) <= MOST_FILES[kind], section.files
    apply(section.edits, tree)
    files = shlex.join(sorted(section.files))
    checked = run(f"python -m ruff check {files} && python -m ruff format --check {files}", tree)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", MOST_FILES)
def test_a_section_works_as_it_is_written(kind: str, tree: Path) -> None:
    section = read_guide(GUIDE.read_text(encoding="utf-8"))[kind]
    assert any(expected for _, expected in section.commands)
    apply(section.edits, tree)
    for command, expected in section.commands:
        done = run(command, tree)
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        assert is_printed(expected, done.stdout), f"{command}\n{done.stdout}"


@pytest.mark.slow
def test_all_sections_together_keep_types_and_arrows(tree: Path) -> None:
    sections = read_guide(GUIDE.read_text(encoding="utf-8")).values()
    for section in sections:
        apply(section.edits, tree)
    files = shlex.join(sorted(set().union(*(section.files for section in sections))))
    linter = Path(sys.executable).with_name("lint-imports")
    checked = run(f"python -m mypy {files} && {shlex.quote(str(linter))}", tree)
    assert checked.returncode == 0, checked.stdout


def test_the_guide_is_read_and_applied_as_it_says(tmp_path: Path) -> None:
    text = (
        "## A new thing\n"
        '```python file=new.py\nx = 1\n```\n```python file=old.py after="def f"\n    a()\n```\n'
        '```python file=old.py before="return 2"\n    b()\n```\n'
        "```console\n$ cat <<END\n> x\n>\n> END\ndef f():\n…\n$ true\n```\n"
        "## A new sentence\nWithout code.\n"
    )
    (section,) = read_guide(text).values()
    assert section.files == {"new.py", "old.py"}
    assert section.commands == [("cat <<END\nx\n\nEND", ["def f():", "…"]), ("true", [])]
    (tmp_path / "old.py").write_text("def f():\n    return 2\n")
    apply(section.edits, tmp_path)
    assert (tmp_path / "old.py").read_text() == "def f():\n    a()\n    b()\n    return 2\n"
    with pytest.raises(AssertionError, match="would be replaced"):
        apply(section.edits, tmp_path)
    with pytest.raises(AssertionError, match="has 0 lines"):
        apply([Edit("old.py", "", "def g")], tmp_path)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (["a b", "d"], True),
        (["a … d"], True),
        (["d", "a"], False),
        (["a d"], False),
        (["c d e"], True),
        ([], True),
        (["a.b"], False),
    ],
)
def test_what_counts_as_printed(expected: list[str], found: bool) -> None:
    assert is_printed(expected, "a b\nc   d\n e\n") is found
