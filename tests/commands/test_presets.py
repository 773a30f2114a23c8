"""`lm presets`: every preset reads, and the published parameter counts come out to the integer."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.output.values import show_value
from lmcore.config import Config, setting_help, setting_names
from lmcore.data import load_data
from lmcore.models import count_parameters
from lmcore.presets import load_preset, preset_names
from tests.commands.conftest import TINY, Answer

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
    assert list(shown) == ["name", "summary", "path", "config", "parameters"]
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


def test_show_says_where_the_file_is_and_how_to_copy_it(lm: Lm) -> None:
    lines = lm("presets", "show", "quick").out.splitlines()
    (file,) = [line.split()[1] for line in lines if line.startswith("file ")]
    assert load_preset(file).config == load_preset("quick").config
    assert any(line.endswith("lm presets copy quick mine.toml") for line in lines)


@pytest.mark.parametrize("name", preset_names())
def test_a_copy_is_the_same_config_with_every_setting_explained(lm: Lm, tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.toml"
    answer = lm("presets", "copy", name, str(path))
    assert (answer.code, answer.out) == (0, "")
    assert f"lm train --preset {path}" in answer.err
    mine, original = load_preset(str(path)), load_preset(name)
    assert (mine.config, mine.summary, mine.notes) == (original.config, original.summary, original.notes)
    text = path.read_text()
    assert original.path.read_text().rstrip().splitlines()[-1] in text
    for setting in setting_names():
        assert re.search(rf"^(# )?{setting.partition('.')[2]} = ", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["quick", "exp12"])
def test_every_commented_setting_of_a_copy_can_be_uncommented(lm: Lm, tmp_path: Path, name: str) -> None:
    text = lm("presets", "copy", name, "-").out
    uncommented = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert uncommented != text
    values = tomllib.loads(uncommented)
    assert {f"{section}.{key}" for section in Config.model_fields for key in values[section]} == set(setting_names())
    (tmp_path / "all.toml").write_text(uncommented)
    assert load_preset(str(tmp_path / "all.toml")).config == load_preset(name).config


def test_a_copy_overwrites_nothing_unless_told_to(lm: Lm, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[model]\nn_layer = 3\n")
    refused = lm("presets", "copy", "quick", str(path))
    assert refused.code == 2
    assert "--force" in refused.err
    assert path.read_text() == "[model]\nn_layer = 3\n"
    assert lm("presets", "copy", "quick", str(path), "--force").code == 0
    assert load_preset(str(path)).config == load_preset("quick").config
    assert "end in .toml" in lm("presets", "copy", "quick", str(tmp_path / "mine")).err
    assert lm("presets", "copy", "nothing", str(path), "--force").code == 2


def test_a_preset_of_ones_own_can_be_copied_however_it_is_written(lm: Lm, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    lines = [
        'notes = "[model]"',
        "model.n_layer = 3",
        "optimizer = {lr = 0.5}",
        "  [ training ] # brief",
        "max_steps = 7",
    ]
    own.write_text("\n".join(lines))
    text = lm("presets", "copy", str(own), "-").out
    (tmp_path / "again.toml").write_text(text)
    assert load_preset(str(tmp_path / "again.toml")).config == load_preset(str(own)).config
    assert "# batch_size = 12" in text


def test_a_copy_trains(lm: Lm, tmp_path: Path, text_file: Path) -> None:
    path = tmp_path / "mine.toml"
    lm("presets", "copy", "quick", str(path))
    answer = lm("train", "--preset", str(path), "--data", str(text_file), "--max-steps", "1", "--json", *TINY)
    assert json.loads(answer.out)["run"] == "mine-1"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        (3e-5, "3e-05"),
        (10_000.0, "10000"),
        (0.123456789, "0.123456789"),
        (('a "quote"', "\n"), r'["a \"quote\"", "\n"]'),
    ],
)
def test_values_are_shown_as_toml_that_reads_back(value: Any, shown: str) -> None:
    assert show_value(value) == shown
    read = tomllib.loads(f"value = {shown}")["value"]
    assert (tuple(read) if isinstance(read, list) else read) == value


def test_a_values_control_characters_are_shown() -> None:
    assert show_value("\x1b[2J") == '"␛[2J"'


def test_show_says_which_sampler_settings_have_no_effect(lm: Lm, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[generation]\ngreedy = true\n")
    lines = {line.partition(" = ")[0]: line for line in lm("presets", "show", str(path)).out.splitlines()}
    for name in ("temperature", "top_k", "top_p", "min_p"):
        assert "(no effect: generation.greedy = true)" in lines[name]
    assert "no effect" not in lines["repetition_penalty"]
