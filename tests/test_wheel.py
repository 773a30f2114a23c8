"""A wheel built from the tree, installed away from the checkout, is the whole program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmcore.presets import preset_names

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; it borrows the dependencies of this one, but not its editable install of the
    checkout.
    """
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(CHECKOUT),
    ]
    subprocess.run(build, check=True, timeout=120)
    environment = folder / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=60)
    site = next(environment.glob("lib/python*/site-packages"))
    # A path listed in a .pth file is importable, but its own .pth files (the editable install) are not read.
    (site / "borrowed.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("site-packages")))
    (wheel,) = folder.glob("*.whl")
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(environment / "bin" / "python"),
        "install",
        "--quiet",
        "--no-deps",
        str(wheel),
    ]
    subprocess.run(install, check=True, timeout=120)
    return environment / "bin"


def _lm(binaries: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"COLUMNS": "120"}
    return subprocess.run(
        [str(binaries / "lm"), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )


def test_its_code_is_not_the_checkouts(installed: Path, tmp_path: Path) -> None:
    asked = "import cli, lmcore, tui; print(cli.__file__, lmcore.__file__, tui.__file__)"
    said = subprocess.run(
        [str(installed / "python"), "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert str(CHECKOUT) not in said.stdout


def test_presets_are_inside(installed: Path, tmp_path: Path) -> None:
    said = _lm(installed, tmp_path, "presets", "list", "--json")
    assert {preset["name"] for preset in json.loads(said.stdout)} == set(preset_names())


def test_it_trains_evaluates_and_writes(installed: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat.\na dog ran after the cat.\n" * 300)
    tiny = [
        "--set",
        "model.n_layer=1",
        "--set",
        "model.n_embd=16",
        "--set",
        "model.block_size=16",
        "--set",
        "tokenizer.kind=char",
    ]
    trained = _lm(
        installed,
        tmp_path,
        "train",
        "--preset",
        "quick",
        "--data",
        str(text),
        "--run",
        "tiny",
        "--max-steps",
        "6",
        *tiny,
        "--json",
    )
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["steps"] == 6
    for arguments in (
        ["generate", "the cat", "--max-new-tokens", "5"],
        ["eval", "tiny"],
        ["runs"],
        ["compare", "tiny"],
        ["watch", "tiny", "--once"],
    ):
        said = _lm(installed, tmp_path, *arguments)
        assert (said.returncode, said.stdout.strip() != "") == (0, True), said.stderr


def test_the_screen_says_that_it_needs_a_terminal(installed: Path, tmp_path: Path) -> None:
    said = _lm(installed, tmp_path, "tui")
    assert said.returncode == 2
    assert "terminal" in said.stderr
