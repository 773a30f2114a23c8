"""The computing process: counts parameters and generates text, one job after another.

`python -m tui.engine.server` reads requests from stdin and answers on stdout, one JSON object a line. Every answer
carries the request's `id`.

    {"op": "count", "id", "config"}        count {"total", "learnable", "exact"}, null before the text is read; ended
    {"op": "generate", "id", "folders",    for each folder (its index is "column"): loading, ready {"step", "notices"},
     "prompt", "settings", "num_samples",    tokens [[column, sample, text, probability, nll, alternatives], …], and
     "alternatives", "device", "threads"}    done {"tokens", "seconds", "nll"} or failed {"message"}; at last ended
    {"op": "stop", "id"}                   nothing more of that job is computed; it ends as above

`settings` are those of lmcore/sampling.py, by name; what is left out has the default of `GenerationConfig`.

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
    from lmcore.generation import GeneratedToken, TextGenerator

KEPT_GENERATORS = 4
BATCH_SECONDS = 0.03  # tokens that come closer together travel in one line

Answer = Callable[..., None]


@dataclass
class Continuation:
    """One checkpoint at work on the prompt; `column` is its index in the request's folders."""

    column: int
    generated: Iterator[GeneratedToken]
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
            elif request["op"] == "generate":
                self._generate(request)
        except Exception as error:
            self.answer(request["id"], "failed", message=explain(error))
        self.answer(request["id"], "ended")
        self.stopped.discard(request["id"])

    def _count(self, request: dict[str, Any]) -> None:
        from lmcore.config import Config
        from lmcore.training.parameter_counts import expected_parameters

        self.answer(request["id"], "count", **expected_parameters(Config.from_dict(request["config"])))

    def _generate(self, request: dict[str, Any]) -> None:
        import torch

        if request.get("threads"):
            torch.set_num_threads(request["threads"])
        opened = [self._open(request, column) for column in range(len(request["folders"]))]
        unfinished = [continuation for continuation in opened if continuation is not None]
        while unfinished and request["id"] not in self.stopped:
            # In turns, so that all texts grow together.
            unfinished = [continuation for continuation in unfinished if self._advance(request["id"], continuation)]
        for continuation in unfinished:
            self._finish(request["id"], continuation)

    def _open(self, request: dict[str, Any], column: int) -> Continuation | None:
        from lmcore.config import GenerationConfig
        from lmcore.sampling import with_changes

        job = request["id"]
        if job in self.stopped:
            return None
        self.answer(job, "loading", column=column)
        try:
            generator = self._generator(request["folders"][column], request.get("device", "auto"))
            generated = generator.generate(
                request["prompt"],
                with_changes(GenerationConfig(), request["settings"]),
                num_samples=request["num_samples"],
                cancelled=lambda: job in self.stopped,
                alternatives=request["alternatives"],
            )
            self.answer(job, "ready", column=column, step=generator.step, notices=generator.notices(request["prompt"]))
        except Exception as error:
            self.answer(job, "failed", column=column, message=explain(error))
            return None
        return Continuation(column, iter(generated))

    def _generator(self, folder: str, device: str) -> TextGenerator:
        from lmcore.generation import load_generator

        key = (folder, device)
        generator = self._generators.pop(key, None) or load_generator(Path(folder), device)
        self._generators[key] = generator
        while len(self._generators) > KEPT_GENERATORS:
            del self._generators[next(iter(self._generators))]
        return generator

    def _advance(self, job: int, continuation: Continuation) -> bool:
        """Generate one more token; False when there is none."""
        began = time.perf_counter()
        try:
            token = next(continuation.generated, None)
        except Exception as error:
            self._send_tokens(job)
            self.answer(job, "failed", column=continuation.column, message=explain(error))
            return False
        continuation.seconds += time.perf_counter() - began
        if token is None:
            self._finish(job, continuation)
            return False
        continuation.tokens += 1
        continuation.nll += token.nll
        self._waiting.append(
            [continuation.column, token.sample, token.text, token.probability, token.nll, token.alternatives]
        )
        if time.monotonic() - self._sent_at > BATCH_SECONDS:
            self._send_tokens(job)
        return True

    def _finish(self, job: int, continuation: Continuation) -> None:
        self._send_tokens(job)
        tokens = continuation.tokens
        self.answer(
            job,
            "done",
            column=continuation.column,
            tokens=tokens,
            seconds=round(continuation.seconds, 4),
            nll=continuation.nll / tokens if tokens else None,
        )

    def _send_tokens(self, job: int) -> None:
        if self._waiting:
            self.answer(job, "tokens", tokens=self._waiting)
            self._waiting = []
        self._sent_at = time.monotonic()


def explain(error: Exception) -> str:
    """What the user is told; the traceback of an unexpected error goes to stderr, which the screen keeps in a log."""
    if isinstance(error, LmError):
        return str(error)
    traceback.print_exception(error, file=sys.stderr)
    return f"Unexpected error: {type(error).__name__}: {error}. See engine.log for details."


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
        os.nice(10)  # People read slower than this generates, and a run that trains beside it should not notice.

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
