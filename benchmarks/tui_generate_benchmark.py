"""How long a key waits while text is generated: `python benchmarks/tui_generate_benchmark.py [--columns N] [--json]`.

In a real terminal, N checkpoints (4 layers, 128 wide, 65 characters) generate side by side; letters that no model
generates are typed into the prompt, and the time until each is painted is measured. Target: 50 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import string
import tempfile
import time
from pathlib import Path

from benchmarks.tui_benchmark import Terminal

LETTERS = "ΑΒΓΔΕΖΗΘΛΞΠΣΦΨΩабвгдежзиклмнпрстуфхцчшщыэюя"
TARGET_MS = 50.0


def make_checkpoints(root: Path, columns: int) -> list[str]:
    """Runs with a checkpoint of random weights; their names."""
    from lmcore.config import Config
    from lmcore.data.tokenizer.build import char_tokenizer
    from lmcore.models import build_model, save_model
    from lmcore.runs import create_run, publish_checkpoint, set_pointer

    config = Config().with_settings(
        {"model.n_layer": 4, "model.n_embd": 128, "model.n_head": 4, "tokenizer.kind": "char"}
    )
    tokenizer = char_tokenizer([string.printable])
    names = [f"random{number}" for number in range(columns)]
    for seed, name in enumerate(names):
        run = create_run(name, config, {}, root)
        model = build_model(config.model, tokenizer.vocab_size, seed=seed)

        def fill(folder: Path, model: object = model) -> None:
            save_model(model, folder)  # type: ignore[arg-type]
            tokenizer.save(folder / "tokenizer.json")

        folder = publish_checkpoint(run.path, 1, fill)
        set_pointer(run.path, "best", folder)
    return names


def measure(work: Path, columns: int) -> list[float]:
    """Milliseconds from each key to its letter on the screen, while all columns generate."""
    names = make_checkpoints(work / "runs", columns)
    (work / "state").mkdir()
    remembered = {
        "mode": "generate",
        "sources": [f"{name}:best" for name in names],
        "generate": {"max_new_tokens": 100_000.0},
    }
    (work / "state" / "tui.json").write_text(json.dumps(remembered), encoding="utf-8")
    terminal = Terminal(work / "runs", work / "state")
    try:
        terminal.read_until(names[-1].encode())
        terminal.settle(1.0)
        os.write(terminal.fd, b"\r")
        terminal.read_until("generating …".encode())
        terminal.settle(3.0)
        return [typed(terminal, letter) for letter in LETTERS]
    finally:
        os.write(terminal.fd, b"\x1b")
        terminal.settle(0.5)
        os.write(terminal.fd, b"\x1b")
        terminal.settle(0.5)
        terminal.close()


def typed(terminal: Terminal, letter: str) -> float:
    """Type a letter and wait until it is painted."""
    terminal.settle(0.13)
    began = time.perf_counter()
    os.write(terminal.fd, letter.encode())
    terminal.read_until(letter.encode())
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="lm-generate-"))
    try:
        times = sorted(measure(work, options.columns))
    finally:
        shutil.rmtree(work)
    figures = {"median_ms": statistics.median(times), "p95_ms": times[int(0.95 * len(times))], "max_ms": times[-1]}
    if options.json:
        print(
            json.dumps(
                {"columns": options.columns, "figures": figures, "target_ms": TARGET_MS, "cores": os.cpu_count()}
            )
        )
        return
    for name, value in figures.items():
        print(f"{name:10} {value:8.1f}   target {TARGET_MS:g}   {'ok' if value <= TARGET_MS else 'MISSED'}")


if __name__ == "__main__":
    main()
