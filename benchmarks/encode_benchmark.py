"""A large text through a tokenizer into token files: rate and peak memory of the whole process and its workers.

    python benchmarks/encode_benchmark.py [--megabytes 1000] [--tokenizer bpe]

The text repeats shuffled paragraphs of the embedded corpus; it is written to a temporary folder (`--folder` to choose
the disk) and encoded in a process of its own, so that the peak is that of the encoding alone.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from pydoc_data.topics import topics

from lmcore.config import Config
from lmcore.data import load_data

MEGABYTE = 1_000_000


def write_text(path: Path, megabytes: int) -> None:
    """About so many MB of prose and code, the same at each call."""
    paragraphs = [paragraph for topic in topics.values() for paragraph in topic.split("\n\n")]
    order = random.Random(0)
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < megabytes * MEGABYTE:
            order.shuffle(paragraphs)
            text = "\n\n".join(paragraphs) + "\n"
            file.write(text)
            written += len(text.encode())


def encode(path: Path, kind: str, cache: Path) -> dict[str, float]:
    """Load the text as a corpus and measure; the tokenizer's training is part of it."""
    start = time.perf_counter()
    data = load_data(Config.from_dict({"data": {"corpus": str(path)}, "tokenizer": {"kind": kind}}), cache_dir=cache)
    seconds = time.perf_counter() - start
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if sys.platform == "darwin" else 1024
    tokens = sum(len(split.tokens) for split in data.splits.values())
    return {
        "megabytes": path.stat().st_size / MEGABYTE,
        "tokens": tokens,
        "seconds": seconds,
        "peak_memory_bytes": peak * unit,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--tokenizer", default="bpe", choices=("char", "word", "bpe", "gpt2"))
    parser.add_argument("--folder", type=Path, help="folder for the text and the token files during the benchmark")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--encode", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.encode:
        print(json.dumps(encode(arguments.encode, arguments.tokenizer, arguments.encode.parent / "cache")))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        text = Path(folder) / "text.txt"
        write_text(text, arguments.megabytes)
        command = [sys.executable, __file__, "--tokenizer", arguments.tokenizer, "--encode", str(text)]
        figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    figures = {
        "row": f"encode {arguments.tokenizer}",
        **figures,
        "megabytes_per_second": figures["megabytes"] / figures["seconds"],
    }
    if arguments.json:
        print(json.dumps(figures))
    else:
        rate, peak = figures["megabytes_per_second"], figures["peak_memory_bytes"] / MEGABYTE
        size = f"{figures['megabytes']:.0f} MB, {figures['tokens']:,} tokens"
        print(f"{figures['row']}: {size}, {rate:.1f} MB/s, peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
