"""Commands in the README and under docs/ are those that the parser takes, and docs/commands.md names all of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.commands.conftest import HOUSE, all_commands

PAGES = sorted([HOUSE / "README.md", *HOUSE.glob("docs/*.md")])
# The examples of this one have options that its reader adds: tests/test_extending.py adds them and runs the examples.
EXTENDING = HOUSE / "docs" / "extending.md"
REFERENCE = HOUSE / "docs" / "commands.md"
# On every command, or added by the parser.
EVERYWHERE = {"--help", "--debug"}
ROOT = {"--version", "--install-completion", "--show-completion"}


class Mention(NamedTuple):
    """A command named on a page, its options there, and the text that names them."""

    command: tuple[str, ...]
    options: frozenset[str]
    text: str


def command_of(words: list[str]) -> tuple[str, ...]:
    """The longest path of commands that the words begin with."""
    path: tuple[str, ...] = ()
    for word in words:
        if (*path, word) not in all_commands():
            break
        path = (*path, word)
    return path


def code_lines(page: str) -> Iterator[str]:
    """Lines of code blocks that call `lm`, without what the shell does with them."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if match := re.match(r"(?:\$ )?(?:\w+=\S+ )*lm\b(.*)", line):
                yield match[1]


def mentions(page: str, heading: tuple[str, ...] = ()) -> Iterator[Mention]:
    """Commands in inline code; an option that stands alone is one of the section's, or of its row's, command."""
    prose = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    for line in prose.splitlines():
        if line.startswith("#"):
            words = line.lstrip("#").split()
            heading = command_of(words[1:]) if words[0] == "lm" else ()
            if words[0] == "lm":
                yield Mention(heading, frozenset(), " ".join(words))
        current = heading
        for span in re.findall(r"`([^`]+)`", line):
            words = re.sub(r"[\[\]]", " ", span).replace("\\|", " ").split()
            if words[:1] == ["lm"]:
                current = command_of(words[1:])
                yield Mention(current, frozenset(re.findall(r"(?<!\S)--[\w-]+", " ".join(words))), span)
            elif words and words[0].startswith("--"):
                yield Mention(current, frozenset(re.findall(r"(?<!\S)--[\w-]+", " ".join(words))), span)


def options_of(path: tuple[str, ...], *, negations: bool = True) -> set[str]:
    """The long options of a command, with or without the `--no-…` of its flags."""
    command = all_commands()[path]
    parameters = command.get_params(command.context_class(command))
    spellings = [parameter.opts + (parameter.secondary_opts if negations else []) for parameter in parameters]
    return {option for options in spellings for option in options if option.startswith("--")}


@pytest.mark.parametrize("page", [page for page in PAGES if page != EXTENDING], ids=lambda path: path.name)
def test_every_example_is_parsed_without_complaint(page: Path) -> None:
    for line in code_lines(page.read_text(encoding="utf-8")):
        words = shlex.split(re.split(r"\s[|>]\s", line)[0], comments=True)
        path = command_of(words)
        if path:
            all_commands()[path].make_context(" ".join(path), words[len(path) :])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_and_option_named_on_a_page_exists(page: Path) -> None:
    unknown = []
    for command, options, text in mentions(page.read_text(encoding="utf-8")):
        if command:
            unknown += [(text, option) for option in options - options_of(command) - EVERYWHERE]
        elif text.startswith("lm "):
            word = text.split()[1]
            unknown += [(text, word)] if word.isalpha() and word.islower() else []
            unknown += [(text, option) for option in options - ROOT - EVERYWHERE]
        else:
            known = {option for path in all_commands() for option in options_of(path)}
            unknown += [(text, option) for option in options - known - ROOT - EVERYWHERE]
    assert unknown == []


def test_the_reference_names_every_command_and_option() -> None:
    page = REFERENCE.read_text(encoding="utf-8")
    named: dict[tuple[str, ...], set[str]] = {}
    for command, options, _ in mentions(page):
        named.setdefault(command, set()).update(options)
    headings = {command_of(line.split()[2:]) for line in page.splitlines() if line.startswith("## lm ")}
    for path, command in all_commands().items():
        assert path in named or path in headings, path
        # The options of a bare group are those of its list.
        shown = named.get(path, set()) | (named.get((*path, "list"), set()) if hasattr(command, "commands") else set())
        assert options_of(path, negations=False) - EVERYWHERE - shown == set(), path


def test_a_page_that_names_what_is_not_there_is_noticed() -> None:
    page = "## lm train\n`--colour` and `lm eval RUN --colour`, `lm runs show RUN`; `--json`\n"
    assert list(mentions(page)) == [
        Mention(("train",), frozenset(), "lm train"),
        Mention(("train",), frozenset({"--colour"}), "--colour"),
        Mention(("eval",), frozenset({"--colour"}), "lm eval RUN --colour"),
        Mention(("runs", "show"), frozenset(), "lm runs show RUN"),
        Mention(("runs", "show"), frozenset({"--json"}), "--json"),
    ]
    assert list(code_lines("```console a=b\n$ LM_RUNS=x lm runs # all\nmake\n```\n")) == [" runs # all"]
