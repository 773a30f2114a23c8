"""A way to run `lm`, in this process and as a real one, and one tiny trained run that the tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from cli import app
from commands.output.errors import run_safely

HOUSE = Path(__file__).resolve().parents[2]
TINY = [
    f"--set={setting}"
    for setting in (
        "tokenizer.kind=char",
        "model.n_layer=1",
        "model.n_embd=16",
        "model.n_head=2",
        "model.block_size=16",
        "optimizer.name=adamw",
        "optimizer.lr=0.01",
        "training.batch_size=4",
        "training.eval_every=20",
        "training.log_every=5",
        "training.threads=1",
        "generation.max_new_tokens=12",
    )
]


class Answer(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


# A shell starts what it runs in the background deaf to SIGINT, and that is inherited; a person's terminal is not deaf.
LM_CODE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import cli; cli.main()"


def start_lm(
    *arguments: str,
    env: dict[str, str] | None = None,
    code: str = LM_CODE,
    stdin: int | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[str]:
    """A real `lm` process."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=stdin,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HOUSE), "OMP_NUM_THREADS": "1", **(env or {})},
    )


def run_lm(*arguments: str, env: dict[str, str] | None = None, code: str = LM_CODE) -> Answer:
    """A real `lm` process, to its end."""
    process = start_lm(*arguments, env=env, code=code)
    out, err = process.communicate(timeout=120)
    return Answer(process.returncode, out, err)


@cache
def all_commands() -> dict[tuple[str, ...], Any]:
    """The parser's own commands, groups included, by the words after `lm`; `()` is `lm` itself."""
    found: dict[tuple[str, ...], Any] = {(): typer.main.get_command(app)}
    paths: list[tuple[str, ...]] = [()]
    for path in paths:
        for name, command in getattr(found[path], "commands", {}).items():
            found[*path, name] = command
            paths.append((*path, name))
    return found


@pytest.fixture
def lm(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """`lm` in this process: what a person would see, as text."""

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        code = run_safely(app, list(arguments))
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small text that a character model learns at once."""
    path = tmp_path_factory.mktemp("text") / "rhyme.txt"
    path.write_text(
        "".join(f"{n} green bottles hanging on the wall, and if one green bottle should fall\n" for n in range(200)),
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="session")
def trained(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """The folder of a run named `tiny`, trained by a real process, and what that process said."""
    root = tmp_path_factory.mktemp("trained")
    env = {"LM_RUNS": str(root), "LM_CACHE": str(root / ".cache")}
    answer = run_lm("train", "--run", "tiny", "--data", str(text_file), "--max-steps", "60", "--json", *TINY, env=env)
    assert answer.code == 0, answer.err
    return root / "tiny", answer


@pytest.fixture
def runs(trained: tuple[Path, Answer], _no_surroundings: None) -> Path:
    """A runs folder of this test's own that holds `tiny`."""
    root = Path(os.environ["LM_RUNS"])
    shutil.copytree(trained[0], root / "tiny")
    return root
