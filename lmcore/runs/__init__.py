"""The run directory: the only thing that training and its watchers share (docs/design.md, docs/run-directory.md).

Listing runs imports neither numpy nor pydantic, and never reads whole event files.
"""

from lmcore.runs.checkpoints import (
    Checkpoint,
    clean_leftovers,
    prune_checkpoints,
    publish_checkpoint,
    set_pointer,
    verify_checkpoint,
)
from lmcore.runs.control import ControlReader
from lmcore.runs.events import EventTail, EventWriter
from lmcore.runs.fold import Fold, Latest, Scoring, read_scoring
from lmcore.runs.history import History, load_curve
from lmcore.runs.process import identity
from lmcore.runs.run import Run
from lmcore.runs.store import create_run, find_run, list_runs, newest_run, next_name, remove_run, rename_run, runs_root

__all__ = [
    "Checkpoint",
    "ControlReader",
    "EventTail",
    "EventWriter",
    "Fold",
    "History",
    "Latest",
    "Run",
    "Scoring",
    "clean_leftovers",
    "create_run",
    "find_run",
    "identity",
    "list_runs",
    "load_curve",
    "newest_run",
    "next_name",
    "prune_checkpoints",
    "publish_checkpoint",
    "read_scoring",
    "remove_run",
    "rename_run",
    "runs_root",
    "set_pointer",
    "verify_checkpoint",
]
