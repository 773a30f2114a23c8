"""Answers as tui/engine/server.py does, without torch: what it writes depends on the name of the run.

alpha and beta share "and the " and part there; slow writes until it is stopped; stuck does not even obey that; broken
fails; dying dies.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

TOKENS = {"alpha": ["and ", "the ", "castle", " was", " old"], "beta": ["and ", "the ", "door", " \x1b[31mshut"]}
stopped: set[int] = set()
write_lock = threading.Lock()


def answer(job: int, what: str, **values: Any) -> None:
    with write_lock:
        sys.stdout.write(json.dumps({"id": job, "what": what, **values}) + "\n")
        sys.stdout.flush()


def write(request: dict[str, Any]) -> None:
    job = request["id"]
    for column, folder in enumerate(request["folders"]):
        run = Path(folder).parent.name
        answer(job, "loading", column=column)
        if run == "broken":
            answer(job, "failed", column=column, message="Its weights cannot be read. Take another checkpoint.")
            continue
        if run == "dying":
            os._exit(3)
        answer(job, "ready", column=column, step=int(Path(folder).name.partition("-")[2]), notices=[])
        tokens = TOKENS.get(run, ["word "] * 100_000)
        count = 0
        for text in tokens:
            if job in stopped and run != "stuck":
                break
            for sample in range(request["num_samples"]):
                answer(
                    job, "pieces", pieces=[[column, sample, text, 0.3 / (count + 1), 1.2, [[text, 0.3], ["else", 0.2]]]]
                )
            count += 1
            if run not in TOKENS:
                time.sleep(0.005)
        answer(job, "done", column=column, tokens=count, seconds=0.01, nll=1.2)
    answer(job, "ended")


def serve(request: dict[str, Any]) -> None:
    if request["op"] == "count":
        model = request["config"]["model"]
        answer(request["id"], "count", total=1000 * model["n_layer"], learnable=900 * model["n_layer"])
        answer(request["id"], "ended")
    else:
        write(request)


for line in sys.stdin:
    message = json.loads(line)
    if message["op"] == "stop":
        stopped.add(message["id"])
    else:
        threading.Thread(target=serve, args=(message,), daemon=True).start()
