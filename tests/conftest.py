"""Fixtures that more than one room's tests use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub, which reads it only then
# Before anything imports torch: models this small are faster on one thread, and threads that wait for each other on a
# busy machine make the suite several times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def lm_data() -> Path:
    """The folder with the real corpora: `$LM_DATA`, or `shared/data` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folders = [Path(part) for part in os.environ.get("LM_DATA", "").split(":") if part] or [beside]
    for folder in folders:
        if (folder / "wikitext-2").is_dir():
            return folder
    pytest.skip("the real corpora are not here: set LM_DATA to a folder with wikitext-2, emma.txt and the rest")


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Runs and caches land in the test's own folder, never in the user's."""
    monkeypatch.setenv("LM_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LM_CACHE", str(tmp_path / "cache"))
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
