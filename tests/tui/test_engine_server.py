"""The computing process without the process: what it answers to requests for text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tui.recorded import finish, record, start
from tests.tui.scenes import TINY, real_checkpoint
from tui.engine.server import Server

Answers = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return real_checkpoint(record(tmp_path / "runs", "one", [start(), finish(100)], settings=TINY), 100)


def ask(folder: Path, num_samples: int = 1, **settings: Any) -> Answers:
    answers: Answers = []
    server = Server(lambda job, what, **values: answers.append((what, values)))
    request = {
        "op": "generate",
        "id": 1,
        "folders": [str(folder)],
        "prompt": "Harry ",
        "settings": settings,
        "num_samples": num_samples,
        "alternatives": 2,
        "device": "cpu",
    }
    server.run(request)
    return answers


def test_a_request_is_answered_from_loading_to_ended(folder: Path) -> None:
    answers = ask(folder, num_samples=2, max_new_tokens=4)
    assert [what for what, _ in answers if what != "tokens"] == ["loading", "ready", "done", "ended"]
    assert dict(answers)["ready"] == {"column": 0, "step": 100, "notices": []}
    tokens = [token for what, values in answers if what == "tokens" for token in values["tokens"]]
    assert [(column, sample) for column, sample, *_ in tokens] == [(0, 0), (0, 1)] * 4
    done = dict(answers)["done"]
    assert done["tokens"] == 8
    assert done["nll"] == pytest.approx(sum(token[4] for token in tokens) / 8)


def test_settings_are_those_of_the_command_line(folder: Path) -> None:
    def text(**settings: Any) -> str:
        answers = ask(folder, **settings)
        return "".join(token[2] for what, values in answers if what == "tokens" for token in values["tokens"])

    greedy = text(max_new_tokens=8, greedy=True)
    assert text(max_new_tokens=8, top_k=1.0) == text(max_new_tokens=8, top_k="1") == greedy
    assert text(max_new_tokens=8, top_k="off") == text(max_new_tokens=8, top_p=0) != greedy


@pytest.mark.parametrize("settings", [{"top_k": "hot"}, {"temperature": -1}, {"max_new_tokens": 0}])
def test_settings_that_are_not_possible_are_answered_in_words(folder: Path, settings: dict[str, Any]) -> None:
    answers = ask(folder, **settings)
    assert [what for what, _ in answers] == ["loading", "failed", "ended"]
    message = answers[1][1]["message"]
    assert "Unexpected" not in message
    assert message.startswith(("generation.", "[generation]"))
