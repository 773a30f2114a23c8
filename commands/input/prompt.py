"""The text that a model continues."""

from __future__ import annotations

import sys

from lmcore.errors import UsageError


def read_prompt(prompt: str) -> str:
    """The prompt itself, or with `-` what stdin holds, without its last line break.

    Raises:
        UsageError: it is not UTF-8.
    """
    try:
        if prompt == "-":
            return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
        prompt.encode("utf-8")
    except UnicodeError:
        raise UsageError("The prompt is not UTF-8 text.", "Convert it, for example with `iconv -t utf-8`.") from None
    return prompt
