"""What the tests of Presets, Generate, Compare and Machine share: runs that train, real checkpoints, an open screen, a
computing process without torch.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widget import Widget

from lmcore.runs import Run, identity, publish_checkpoint, set_pointer
from tests.tui.recorded import record, start, train
from tui.app import LmApp

TINY = {"model.n_layer": 1, "model.n_embd": 16, "model.n_head": 2, "model.block_size": 32, "tokenizer.kind": "char"}
TEXT = "Harry looked at the door of the castle and said nothing. Hermione said that the first of them had been there.\n"
MEMORY = {"weights": 2**30, "gradients": 2**29, "optimizer": 2**30, "activations": 2**30, "cached": 2**29}
FAKE_ENGINE = [sys.executable, str(Path(__file__).with_name("fake_engine.py"))]


def training_run(root: Path, name: str) -> Run:
    """A run whose process is this one, so that it counts as running; its memory grows, then stays at 4 GiB."""
    now = time.time()
    steps = [
        train(step, memory_bytes=2**30 if step <= 50 else 4 * 2**30, memory=MEMORY, time=now)
        for step in range(10, 101, 10)
    ]
    return record(root, name, [start(**identity(), device="cuda:0", time=now), *steps])


def empty_checkpoint(run: Run, step: int, *, best: bool = True) -> Path:
    """A checkpoint that has a name and a place, for the computing process without torch."""
    folder = publish_checkpoint(
        run.path, step, lambda folder: (folder / "config.json").write_text("{}", encoding="utf-8")
    )
    for pointer in ("best", "last") if best else ("last",):
        set_pointer(run.path, pointer, folder)
    return folder


def real_checkpoint(run: Run, step: int, *, seed: int = 0) -> Path:
    """A checkpoint with random weights, as generation needs it."""
    from lmcore.data.tokenizer.build import char_tokenizer
    from lmcore.models import build_model, save_model

    tokenizer = char_tokenizer([TEXT])
    model = build_model(run.config().model, tokenizer.vocab_size, seed=seed)

    def write(folder: Path) -> None:
        save_model(model, folder)
        tokenizer.save(folder / "tokenizer.json")

    folder = publish_checkpoint(run.path, step, write)
    for pointer in ("best", "last"):
        set_pointer(run.path, pointer, folder)
    return folder


async def until(pilot: Pilot[Any], condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Let the app work until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


def shown(widget: Widget) -> str:
    """What a widget shows, as plain text."""
    return "\n".join(
        "".join(segment.text for segment in widget.render_line(y)).rstrip() for y in range(widget.size.height)
    )


def notes(app: LmApp) -> str:
    """All toasts so far, as text."""
    return "\n".join(notification.message for notification in app._notifications)


@asynccontextmanager
async def opened(
    root: Path, mode: str, size: tuple[int, int] = (150, 42), **settings: Any
) -> AsyncIterator[tuple[LmApp, Any, Pilot[Any]]]:
    """The app on one screen, with these settings remembered from before."""
    app = LmApp(root=root)
    app.session.settings.mode = mode
    for name, value in settings.items():
        setattr(app.session.settings, name, value)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.screen.id != "_default" and getattr(app.screen, "MODE", "") == mode)
        await pilot.pause()
        yield app, app.screen, pilot
