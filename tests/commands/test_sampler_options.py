"""The sampler settings on the command line: 0 and `off` undo what a checkpoint was saved with; a prompt's text does not
depend on its company.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmcore.config import GenerationConfig
from lmcore.runs import Run
from lmcore.sampling import sampler_options
from tests.commands.conftest import Answer

Lm = Callable[..., Answer]

ON: dict[str, Any] = {
    "top_k": 1,
    "top_p": 0.01,
    "min_p": 1.0,
    "repetition_penalty": 9.0,
    "no_repeat_ngram": 1,
    "greedy": True,
    "stop": ["e", "n"],
    "max_new_words": 1,
}


def save_settings(runs: Path, **values: Any) -> None:
    """Give the best checkpoint of `tiny` these settings of its own; the rest is at its default."""
    settings = GenerationConfig(temperature=2, max_new_tokens=60, seed=5).model_dump(mode="json") | values
    path = Run(runs / "tiny").checkpoint("best") / "generation_config.json"
    path.write_text(json.dumps(settings), encoding="utf-8")


def generate(lm: Lm, *options: str, prompt: str = "9 g") -> dict[str, Any]:
    answer = lm("generate", prompt, "--run", "tiny", "--json", *options)
    assert answer.code == 0, answer.err
    parsed: dict[str, Any] = json.loads(answer.out)
    return parsed


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *[(name, (f"--{name.replace('_', '-')}", value)) for name in ON for value in ("0", "off")
          if name not in ("greedy", "stop")],
        ("greedy", ("--no-greedy",)),
        ("stop", ("--stop", "off")),
        ("stop", ("--stop", "")),
    ],
)  # fmt: skip
def test_off_undoes_what_the_checkpoint_was_saved_with(lm: Lm, runs: Path, name: str, options: tuple[str, str]) -> None:
    save_settings(runs)
    without = generate(lm)["samples"][0]["text"]
    save_settings(runs, **{name: ON[name]})
    assert generate(lm)["samples"][0]["text"] != without
    answer = generate(lm, *options)
    assert answer["samples"][0]["text"] == without
    assert answer["settings"][name] == GenerationConfig().model_dump(mode="json")[name]


def test_several_stop_strings(lm: Lm, runs: Path) -> None:
    save_settings(runs, stop=["g"])
    answer = generate(lm, "--stop", "e", "--stop", "a")
    assert answer["settings"]["stop"] == ["e", "a"]
    assert not set("ea") & set(answer["samples"][0]["text"])


def test_a_limit_in_words(lm: Lm, runs: Path) -> None:
    text = generate(lm, "--max-new-words", "4", prompt="9 green ")["samples"][0]["text"]
    assert len(text.split()) == 4
    assert not text[-1].isspace()


def test_compare_takes_the_same_options_and_says_what_it_used(lm: Lm, runs: Path) -> None:
    options = ("--top-k", "2", "--max-new-words", "3", "--seed", "9", "--greedy")
    answer = json.loads(lm("compare", "tiny", "--prompt", "9 green ", "--json", *options).out)
    assert (answer["generation"]["top_k"], answer["generation"]["greedy"]) == (2, True)
    assert len(answer["texts"]["tiny"].split()) == 3
    assert answer["texts"]["tiny"] == generate(lm, *options, prompt="9 green ")["samples"][0]["text"]


def test_sample_k_does_not_depend_on_how_many_there_are(lm: Lm, runs: Path) -> None:
    save_settings(runs)
    many = [sample["text"] for sample in generate(lm, "--num-samples", "11")["samples"]]
    assert len(set(many)) == 11
    for count in ("1", "4"):
        few = [sample["text"] for sample in generate(lm, "--num-samples", count)["samples"]]
        assert few == many[: int(count)]


def test_a_sample_of_the_training_can_be_generated_again(lm: Lm, runs: Path) -> None:
    run = Run(runs / "tiny")
    checkpoint = run.checkpoint("last")
    step = int(checkpoint.name.removeprefix("step-"))
    samples = {sample["prompt"]: sample["text"] for sample in run.history().samples if sample["step"] == step}
    assert len(samples) == 2
    for prompt, text in samples.items():
        assert generate(lm, "--checkpoint", "last", prompt=prompt)["samples"][0]["text"] == text


@pytest.mark.parametrize(("command", "default"), [("generate", "the run's setting"), ("compare", None)])
def test_help_has_type_default_and_off_value_of_each_setting(lm: Lm, command: str, default: str | None) -> None:
    out = " ".join(lm(command, "--help").out.split())
    types = {"integer": "INTEGER", "float": "FLOAT", "strings": "TEXT"}
    for option in sampler_options():
        _, flag, rest = out.partition(f" {option.flag} ")
        assert flag, option.name
        text = rest.partition("[default: ")
        value = "none" if option.default == () else str(option.default).lower()
        assert text[2].startswith(f"{default or value}]")
        if option.kind == "boolean":
            assert text[0].startswith(f"/ --no-{option.name} ")
            continue
        off = option.control.off
        assert text[0].startswith(types[option.kind] + ("" if off is None else "|off") + " ")
        assert off in (None, ()) or f"({off:g}: off)" in text[0] or f"({off:g}: no limit" in text[0]
