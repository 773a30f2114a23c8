"""Asking before something is deleted."""

from __future__ import annotations

import sys

import typer

from commands.output.console import is_terminal
from lmcore.errors import UsageError


def confirm_deletion(what: str, question: str) -> None:
    """Return if the user agrees to `question`.

    Raises:
        UsageError: there is no terminal to ask on.
        Exit: the user does not agree; exit code 1.
    """
    if not is_terminal(sys.stdin):
        raise UsageError(
            f"Deleting {what} needs confirmation, but standard input is not a terminal.",
            "Add --yes to delete without confirmation.",
        )
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)
