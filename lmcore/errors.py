"""Errors for people: one sentence that says what is wrong, one that says what to do.

Every failure that a user can cause or fix is an `LmError`; the command line prints its two sentences and exits with its
code. Any other exception that reaches the command line is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LmError(Exception):
    """The work failed. `message` says what is wrong, `hint` what to do; both are complete sentences."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(LmError):
    """The request is not possible: an unknown name, a value out of range, a run that already exists."""

    exit_code = 2


class OutOfReachError(LmError):
    """Something that has to come from the network could not be downloaded."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is Python's own error, that of CUDA (known by its name: torch is not imported here), or one of the
    plain RuntimeErrors of PyTorch's CPU allocators.
    """
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in str(error) for words in ("can't allocate memory", "not enough memory"))
    )


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "", *, cutoff: float = 0.6) -> str:
    """The hint for an unknown name: the most similar of the `known` ones, or `otherwise` if none is similar.

    Args:
        name: what was typed.
        known: what could have been meant.
        otherwise: the hint if nothing is similar; a complete sentence, or empty.
        cutoff: how similar two names must be, 0 to 1 (difflib's ratio).
    """
    found = nearest(name, known, cutoff=cutoff)
    return otherwise if found is None else f"Did you mean '{found}'?"


def nearest(name: str, known: Iterable[str], *, cutoff: float) -> str | None:
    """The one of the `known` names that is spelled most like `name`; None if none is at least `cutoff` alike."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)
