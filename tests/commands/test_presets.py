"""`lm presets`: every preset reads, and the published parameter counts come out to the integer."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from lmcore.config import Config, setting_help, setting_names
from tests.commands.conftest import Answer

Lm = Callable[..., Answer]

LSTM = {1: (34_107_392, 3_019_520), 2: (36_208_640, 5_120_768), 4: (40_411_136, 9_323_264)}
GPT1 = {1: (38_372_352, 7_087_872), 2: (45_460_224, 14_175_744), 4: (59_635_968, 28_351_488)}
COUNTS = {
    **{f"exp{number}": LSTM[1] for number in range(1, 5)},
    **{f"exp{number}": GPT1[1] for number in range(5, 9)},
    "exp9": LSTM[2],
    "exp10": LSTM[4],
    "exp11": GPT1[2],
    "exp12": GPT1[4],
    "gpt2-dutch": (125_385_216, 125_385_216),
    "gpt2-124m": (124_439_808, 124_439_808),
    **dict.fromkeys(("hw1-dot", "hw1-euclid", "hw1-euclid-published", "hw1-euclid-squared"), (70428753, 70428753)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_to_the_integer(lm: Lm, name: str) -> None:
    shown = json.loads(lm("presets", "show", name, "--json").out)
    assert list(shown) == ["name", "summary", "config", "parameters"]
    assert shown["name"] == name
    assert (shown["parameters"]["total"], shown["parameters"]["learnable"]) == COUNTS[name]
    assert Config.from_dict(shown["config"]).to_dict() == shown["config"]


def test_every_preset_is_listed_with_a_line(lm: Lm) -> None:
    listed = {preset["name"]: preset["summary"] for preset in json.loads(lm("presets", "list", "--json").out)}
    assert set(COUNTS) < set(listed)
    assert {"quick", "char-shakespeare", "novel-rnn", "novel-lstm", "novel-glove"} < set(listed)
    assert all(listed.values())
    assert lm("presets").out.count("\n") == len(listed)


def test_show_explains_every_setting(lm: Lm) -> None:
    out = lm("presets", "show", "exp12").out
    assert "59,635,968 total, 28,351,488 learnable" in out
    for name in setting_names():
        assert f"\n{name.partition('.')[2]} = " in out
        assert setting_help(name) in out


def test_a_vocabulary_that_only_the_text_knows(lm: Lm) -> None:
    shown = json.loads(lm("presets", "show", "novel-lstm", "--json").out)
    assert shown["parameters"] == {"total": None, "learnable": None}
    assert "once the text is read" in lm("presets", "show", "novel-lstm").out
