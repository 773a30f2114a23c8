"""Names on the command line: what a range of runs, a corpus and a RUN stand for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.errors import LmError, UsageError

if TYPE_CHECKING:
    from lmcore.runs import Run

_RANGE = re.compile(r"^(?P<stem>.*?)(?P<first>\d+)\.\.(?P=stem)?(?P<last>\d+)$")


def expand_ranges(names: list[str]) -> list[str]:
    """`exp1..exp3` (or `exp1..3`) to exp1, exp2, exp3; other names are kept.

    Raises:
        UsageError: the range runs backwards or names more than 1,000 runs.
    """
    expanded = []
    for name in names:
        match = _RANGE.match(name)
        if not match:
            expanded.append(name)
            continue
        first, last = int(match["first"]), int(match["last"])
        if not 0 <= last - first < 1000:
            raise UsageError(
                f"'{name}' is not a range of runs.",
                "Give the lower number first, for example exp1..exp12, and at most 1,000 runs.",
            )
        expanded += [f"{match['stem']}{number}" for number in range(first, last + 1)]
    return list(dict.fromkeys(expanded))


def corpus_setting(name: str) -> str:
    """What to write into a config for `--data`: a corpus' name as it is, a path absolute, so that the run can go on
    from another folder.

    Raises:
        UsageError: there is no such corpus or file.
    """
    from lmcore.data.corpus.lookup import find_corpus, is_name

    find_corpus(name)
    return name if is_name(name) else str(Path(name).expanduser().absolute())


def find_checkpoint(name: str | None, which: str | None) -> tuple[Run | None, Path]:
    """The run and the checkpoint folder that `name` means: a run's name, the path of a run, or the path of a checkpoint
    folder.

    Without a name, the run with the newest checkpoint. `which` is as for `checkpoint_of`.

    Raises:
        UsageError: there is no such run, or it has no checkpoint.
        LmError: it has no such checkpoint.
    """
    from lmcore.runs import find_run, list_runs

    if name and (Path(name) / "model.safetensors").is_file():
        return None, Path(name)
    if name:
        run = find_run(name)
        return run, checkpoint_of(run, which)
    written = [run for run in list_runs() if run.checkpoints()]
    if not written:
        raise UsageError("There is no trained run yet.", "Train one first: `lm train --preset quick`.")
    newest = max(written, key=lambda run: max(checkpoint.path.stat().st_mtime for checkpoint in run.checkpoints()))
    return newest, checkpoint_of(newest, which)


def checkpoint_of(run: Run, which: str | None = None) -> Path:
    """The folder of a run's `best` or `last` checkpoint or that of a step; by default the best, or the last if nothing
    has been evaluated yet.

    Raises:
        UsageError: the run has no checkpoint yet, or `which` is none of these.
        LmError: it has no such checkpoint.
    """
    if not run.checkpoints():
        raise UsageError(
            f"The run '{run.name}' has no checkpoint yet.",
            f"Wait for its first checkpoint, or resume the run with `lm train --resume {run.name}`.",
        )
    if which is None:
        try:
            return run.checkpoint("best")
        except LmError:
            return run.checkpoint("last")
    if which in ("best", "last"):
        return run.checkpoint(which)
    if which.isdigit():
        return run.checkpoint(int(which))
    raise UsageError(f"There is no checkpoint '{which}'.", "Choose best, last, or a step number such as 500.")
