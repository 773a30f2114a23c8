"""`lm presets`: every preset reads, and the published parameter counts come out to the integer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.config import Config, setting_help, setting_names
from lmcore.data import load_data
from lmcore.models import count_parameters
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


def test_show_marks_settings_without_effect(lm: Lm) -> None:
    lines = {line.partition(" = ")[0]: line for line in lm("presets", "show", "exp1").out.splitlines()}
    assert "(no effect: model.architecture = lstm)" in lines["norm_position"]
    assert "(no effect: optimizer.name = adam)" in lines["weight_decay"]
    assert "no effect" not in lines["projection"]
    assert "no effect" not in lines["carry_state"]


def test_a_vocabulary_that_only_the_text_knows(lm: Lm) -> None:
    shown = json.loads(lm("presets", "show", "novel-lstm", "--json").out)
    assert shown["parameters"] == {"total": None, "learnable": None, "exact": False}
    assert "unknown until the text is read" in lm("presets", "show", "novel-lstm").out


def test_a_bpe_that_a_short_text_does_not_fill_is_counted_as_it_is(lm: Lm, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 40)
    preset = tmp_path / "mine.toml"
    preset.write_text(f'[data]\ncorpus = "{tmp_path / "text.txt"}"\n[model]\nn_layer = 1\nn_embd = 8\nn_head = 2\n')
    config = Config.from_file(preset)
    actual = load_data(config).tokenizer.vocab_size
    assert actual < 300  # of 8,192 asked for
    total, learnable = count_parameters(config.model, actual)
    shown = json.loads(lm("presets", "show", str(preset), "--json").out)
    assert shown["parameters"] == {"total": total, "learnable": learnable, "exact": True}


def test_a_bpe_whose_text_is_not_here_is_an_upper_bound(lm: Lm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LM_DATA", raising=False)
    shown = json.loads(lm("presets", "show", "gpt2-dutch", "--json").out)
    assert shown["parameters"] == {"total": 125_385_216, "learnable": 125_385_216, "exact": False}
    assert "at most 125,385,216 total" in lm("presets", "show", "gpt2-dutch").out
