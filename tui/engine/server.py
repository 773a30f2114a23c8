"""The computing process: counts parameters and writes text, one job after another.

`python -m tui.engine.server` reads requests from stdin and answers on stdout, one JSON object a line. Every answer
carries the request's `id`.

    {"op": "count", "id", "config"}                            -> count {"total", "learnable", "exact"}, null before the text is read
    {"op": "write", "id", "folders", "prompt", "settings",     -> for each column: loading, ready {"step", "notices"},
     "num_samples", "alternatives", "device", "threads"}          pieces [[column, sample, text, probability, nll, alternatives]],
                                                                  done {"tokens", "seconds", "nll"} or failed
                                                                  {"message"}; at last ended
    {"op": "stop", "id"}                                       -> nothing more of that job is computed; it ends as above

The process ends when stdin does, also when the screen was killed.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from lmcore.errors import LmError

if TYPE_CHECKING:
    from lmcore.generation import Piece, TextGenerator

KEPT_GENERATORS = 4
BATCH_SECONDS = 0.03  # pieces that come closer together travel in one line

Answer = Callable[..., None]


@dataclass
class Column:
    """One checkpoint at work on the prompt."""

    index: int
    pieces: Iterator[Piece]
    tokens: int = 0
    seconds: float = 0.0
    nll: float = 0.0


@dataclass
class Server:
    """Takes jobs from a queue; `stopped` holds the ids of jobs that nobody waits for any more."""

    answer: Answer
    stopped: set[int] = field(default_factory=set)
    _generators: dict[tuple[str, str], TextGenerator] = field(default_factory=dict)
    _waiting: list[list[Any]] = field(default_factory=list)
    _sent_at: float = 0.0

    def run(self, request: dict[str, Any]) -> None:
        """Do one job; what goes wrong is answered, not raised."""
        try:
            if request["op"] == "count":
                self._count(request)
            elif request["op"] == "write":
                self._write(request)
        except Exception as error:
            self.answer(request["id"], "failed", message=explain(error))
        self.answer(request["id"], "ended")
        self.stopped.discard(request["id"])

    def _count(self, request: dict[str, Any]) -> None:
        from lmcore.config import Config
        from lmcore.training.parameters import expected_parameters

        self.answer(request["id"], "count", **expected_parameters(Config.from_dict(request["config"])))

    def _write(self, request: dict[str, Any]) -> None:
        import torch

        if request.get("threads"):
            torch.set_num_threads(request["threads"])
        columns = [
            column for index in range(len(request["folders"])) if (column := self._open(request, index)) is not None
        ]
        while columns and request["id"] not in self.stopped:
            # In turns, so that all columns grow together.
            columns = [column for column in columns if self._advance(request["id"], column)]
        for column in columns:
            self._finish(request["id"], column)

    def _open(self, request: dict[str, Any], index: int) -> Column | None:
        from lmcore.config import GenerationConfig

        job = request["id"]
        if job in self.stopped:
            return None
        self.answer(job, "loading", column=index)
        try:
            generator = self._generator(request["folders"][index], request.get("device", "auto"))
            pieces = generator.generate(
                request["prompt"],
                GenerationConfig.model_validate(request["settings"]),
                num_samples=request["num_samples"],
                cancelled=lambda: job in self.stopped,
                alternatives=request["alternatives"],
            )
            self.answer(job, "ready", column=index, step=generator.step, notices=generator.notices(request["prompt"]))
        except Exception as error:
            self.answer(job, "failed", column=index, message=explain(error))
            return None
        return Column(index, iter(pieces))

    def _generator(self, folder: str, device: str) -> TextGenerator:
        from lmcore.generation import load_generator

        key = (folder, device)
        generator = self._generators.pop(key, None) or load_generator(Path(folder), device)
        self._generators[key] = generator
        while len(self._generators) > KEPT_GENERATORS:
            del self._generators[next(iter(self._generators))]
        return generator

    def _advance(self, job: int, column: Column) -> bool:
        """Write one piece more; False when there is none."""
        began = time.perf_counter()
        try:
            piece = next(column.pieces, None)
        except Exception as error:
            self._send_pieces(job)
            self.answer(job, "failed", column=column.index, message=explain(error))
            return False
        column.seconds += time.perf_counter() - began
        if piece is None:
            self._finish(job, column)
            return False
        column.tokens += 1
        column.nll += piece.nll
        self._waiting.append([column.index, piece.sample, piece.text, piece.probability, piece.nll, piece.alternatives])
        if time.monotonic() - self._sent_at > BATCH_SECONDS:
            self._send_pieces(job)
        return True

    def _finish(self, job: int, column: Column) -> None:
        self._send_pieces(job)
        mean = column.nll / column.tokens if column.tokens else None
        self.answer(job, "done", column=column.index, tokens=column.tokens, seconds=round(column.seconds, 4), nll=mean)

    def _send_pieces(self, job: int) -> None:
        if self._waiting:
            self.answer(job, "pieces", pieces=self._waiting)
            self._waiting = []
        self._sent_at = time.monotonic()


def explain(error: Exception) -> str:
    """What a person is told; the traceback of an unexpected failure goes to stderr, which is the screen's log folder."""
    if isinstance(error, LmError):
        return str(error)
    traceback.print_exception(error, file=sys.stderr)
    return f"That failed: {type(error).__name__}: {error}"


def listen(stream: TextIO, jobs: queue.Queue[dict[str, Any]], stopped: set[int]) -> None:
    """Put jobs into the queue; a stop takes effect at once, while another job computes. The end of the stream ends the
    process.
    """
    for line in stream:
        request = json.loads(line)
        if request["op"] == "stop":
            stopped.add(request["id"])
        else:
            jobs.put(request)
    os._exit(0)


def main() -> None:
    """Serve until stdin ends."""
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with suppress(OSError):
        os.nice(10)  # A person reads slower than this writes; a training beside it should not notice.

    def answer(job: int, what: str, **values: Any) -> None:
        answers.write(json.dumps({"id": job, "what": what, **values}) + "\n")
        answers.flush()

    server = Server(answer)
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=listen, args=(sys.stdin, jobs, server.stopped), daemon=True).start()
    while True:
        server.run(jobs.get())


if __name__ == "__main__":
    main()
