"""docs/extending.md as it is written: the blocks of each section are applied to a copy of the code, the files they
touch are counted, and the commands of the section are run there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "extending.md"
# How many files each kind of extension may touch (docs/design.md, "How far it is to a change").
MOST_FILES = {"architecture": 2, "optimizer": 2, "sampler": 2, "corpus": 1, "panel": 2, "tracker": 1}
_BLOCK = re.compile(r"^```(\w+)(?: (.*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Section:
    """One kind of extension: edits as (file, the line they follow or None for a new file, text), and commands."""

    edits: list[tuple[str, str | None, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    @property
    def files(self) -> set[str]:
        """The files it touches."""
        return {name for name, _, _ in self.edits}


def read_guide() -> dict[str, Section]:
    """The sections of the guide by the last word of their headings: `## A new architecture`."""
    sections = {}
    for heading, text in re.findall(
        r"^## A new (\w+)[^\n]*\n(.*?)(?=^## |\Z)", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        section = sections[heading] = Section()
        for language, info, body in _BLOCK.findall(text):
            options = dict(part.split("=", 1) for part in shlex.split(info or ""))
            if language == "console":
                for line in body.splitlines():
                    (section.commands if line.startswith("$ ") else section.expected).append(line.removeprefix("$ "))
            else:
                section.edits.append((options["file"], options.get("after"), body))
    return sections


def apply(section: Section, tree: Path) -> None:
    """Make the section's edits in a copy of the code."""
    for name, after, body in section.edits:
        path = tree / name
        if after is None:
            assert not path.exists(), f"{name} would be replaced"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body, encoding="utf-8")
            continue
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        places = [number for number, line in enumerate(lines) if line.strip() == after.strip()]
        assert len(places) == 1, f"{name} has {len(places)} lines {after!r}"
        lines.insert(places[0] + 1, body)
        path.write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the code and its presets."""
    for name in ("commands", "lmcore", "tui", "presets"):
        shutil.copytree(ROOT / name, tmp_path / "tree" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "cli.py", tmp_path / "tree")
    return tmp_path / "tree"


def test_every_kind_of_extension_has_a_section() -> None:
    assert set(read_guide()) == set(MOST_FILES)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MOST_FILES)
def test_a_section_works_as_it_is_written(kind: str, tree: Path, tmp_path: Path) -> None:
    section = read_guide()[kind]
    assert 0 < len(section.files) <= MOST_FILES[kind], section.files
    assert section.commands
    apply(section, tree)
    settings = {"LM_RUNS": "runs", "LM_CACHE": "cache", "LM_STATE": "state", "PYTHONPATH": str(tree), "COLUMNS": "120"}
    shim = tmp_path / "bin" / "lm"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli "$@"\n')
    shim.chmod(0o755)
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    printed = ""
    for command in section.commands:
        done = subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env={**os.environ, **settings, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        printed += done.stdout + done.stderr
    for line in section.expected:
        assert line.strip() in printed, printed
