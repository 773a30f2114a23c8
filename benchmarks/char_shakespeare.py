"""nanoGPT's own CPU recipe on Tiny Shakespeare, then `lm train --preset char-shakespeare` for the time that took: both
validation losses.

    LM_DATA=DIR python benchmarks/char_shakespeare.py --nanogpt DIR [--repeats 1]

`--nanogpt` is a checkout of karpathy/nanoGPT; the text is LM_DATA's `tinyshakespeare.txt`. The recipe is the one of its
README: 4 layers, 128 wide, block 64, batch 12, 2,000 steps. Its time is that of the whole process, evaluations
included; ours stops after as much training time at the latest. A schedule that decays to the end of the run does so at
the preset's last step: set `training.max_steps` to what this machine does in that time. Both validate on the last tenth
of the text: the peer on 20 random batches, as it does itself, ours on every character.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lmcore.data.corpus.lookup import locate

RECIPE = {
    "device": "cpu",
    "compile": "False",
    "eval_iters": 20,
    "log_interval": 100,
    "block_size": 64,
    "batch_size": 12,
    "n_layer": 4,
    "n_head": 4,
    "n_embd": 128,
    "max_iters": 2000,
    "lr_decay_iters": 2000,
    "dropout": 0.0,
}


def prepare(text: str, folder: Path) -> None:
    """The token files that nanoGPT's own preparation writes: characters in order, the first nine tenths to train."""
    characters = sorted(set(text))
    ids = {character: index for index, character in enumerate(characters)}
    cut = int(len(text) * 0.9)
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", text[:cut]), ("val", text[cut:])):
        np.array([ids[character] for character in part], dtype=np.uint16).tofile(folder / f"{name}.bin")
    meta = {"vocab_size": len(characters), "itos": dict(enumerate(characters)), "stoi": ids}
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta))


def run_peer(checkout: Path, text: str, work: Path, steps: int, environment: dict[str, str]) -> dict[str, object]:
    """Its last printed validation loss, and the seconds of its process."""
    copy = work / "nanogpt"
    shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns(".git"))
    prepare(text, copy / "data" / "shakespeare_char")
    recipe = RECIPE | {"max_iters": steps, "lr_decay_iters": steps, "out_dir": str(work / "out")}
    options = [f"--{name}={value}" for name, value in recipe.items()]
    start = time.perf_counter()
    command = [sys.executable, "train.py", "config/train_shakespeare_char.py", *options]
    output = subprocess.run(command, cwd=copy, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds = time.perf_counter() - start
    losses = [float(loss) for loss in re.findall(r"val loss ([\d.]+)", output)]
    return {"seconds": seconds, "val_loss": losses[-1], "best_val_loss": min(losses)}


def run_ours(seconds: float, work: Path, extra: list[str], environment: dict[str, str]) -> dict[str, object]:
    """The summary of a run that trains for that many seconds, and the seconds of its process."""
    settings = ["data.val_fraction=0.1", "data.test_fraction=0", *extra]
    command = [
        sys.executable,
        "-c",
        "from cli import main; main()",
        "train",
        "--preset",
        "char-shakespeare",
        "--run",
        "benchmark",
        "--json",
    ]
    command += ["--max-minutes", str(seconds / 60), *(part for setting in settings for part in ("--set", setting))]
    start = time.perf_counter()
    output = subprocess.run(
        command, env=environment | {"LM_RUNS": str(work / "runs")}, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    process_seconds = time.perf_counter() - start
    summary = json.loads(output)
    return {"process_seconds": process_seconds, **{name: summary[name] for name in ("seconds", "steps", "val_loss")}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nanogpt", type=Path, required=True, metavar="DIR")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--steps", type=int, default=RECIPE["max_iters"], help="training steps of the peer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="change a setting of our run; may be repeated",
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    path = locate("tinyshakespeare")
    if path is None:
        parser.error("no folder of LM_DATA contains tinyshakespeare; `lm data fetch tinyshakespeare` downloads it")
    text = path.read_text(encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads)}
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as work:
            peer = run_peer(arguments.nanogpt.resolve(), text, Path(work), arguments.steps, environment)
            ours = run_ours(float(str(peer["seconds"])), Path(work), arguments.set, environment)
        if arguments.json:
            print(json.dumps({"row": "char-shakespeare", "ours": ours, "peer": peer}), flush=True)
        else:
            for side, figures in (("peer", peer), ("ours", ours)):
                print(f"{side} {figures['seconds']:.0f} s, validation loss {figures['val_loss']:.3f}", flush=True)


if __name__ == "__main__":
    main()
