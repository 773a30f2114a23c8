"""Every generation setting is offered everywhere, from its one declaration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.config import GenerationConfig
from lmcore.errors import UsageError
from lmcore.sampling import SamplerOption, sampler_options, with_changes

HOUSE = Path(__file__).resolve().parents[1]
OPTIONS = {option.name: option for option in sampler_options()}
NOT_OFFERED = {"prompts": "the prompt is the argument of the command and the field of the screen"}
NO_SLIDER = {"stop": "text"}
NEVER_OFF = {"temperature": "1 leaves the probabilities as they are", "seed": "0 is a seed like any other"}
ALL_ON = GenerationConfig(
    max_new_words=50,
    top_k=3,
    top_p=0.5,
    min_p=0.2,
    repetition_penalty=1.5,
    no_repeat_ngram=2,
    greedy=True,
    stop=("!", "?"),
)


def test_every_field_is_an_option_a_slider_or_has_a_reason_not_to_be() -> None:
    assert OPTIONS.keys() == GenerationConfig.model_fields.keys() - NOT_OFFERED
    assert {name for name, option in OPTIONS.items() if option.control.bar is None} == NO_SLIDER.keys()
    assert {name for name, option in OPTIONS.items() if option.control.off is None} == NEVER_OFF.keys()


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_what_a_slider_can_say_the_setting_permits(option: SamplerOption) -> None:
    if option.control.bar is None:
        return
    low, high, step = option.control.bar
    most = high if option.control.most is None else option.control.most
    assert low <= float(option.default) <= most
    for value in (low, low + step, high, most):
        assert getattr(with_changes(GenerationConfig(max_new_words=1), {option.name: value}), option.name) == value


@pytest.mark.parametrize("value", ["0", "off", 0, 0.0])
@pytest.mark.parametrize("name", sorted(OPTIONS.keys() - NEVER_OFF - {"stop"}))
def test_nothing_and_off_switch_a_setting_off(name: str, value: object) -> None:
    changed = with_changes(ALL_ON, {name: value})
    default = 0 if name == "max_new_tokens" else GenerationConfig.model_fields[name].default
    assert changed == ALL_ON.model_copy(update={name: default})


@pytest.mark.parametrize(
    ("given", "stop"),
    [
        (["off"], ()),
        ("off", ()),
        ([""], ()),
        (["off", "x"], ("x",)),
        (["x", "off"], ()),
        (["x", "y"], ("x", "y")),
        ("x", ("x",)),
    ],
)
def test_stop_strings_replace_those_before_and_off_leaves_none(given: object, stop: tuple[str, ...]) -> None:
    assert with_changes(ALL_ON, {"stop": given}).stop == stop


def test_a_length_that_is_asked_for_replaces_the_other_one() -> None:
    in_words = GenerationConfig(max_new_tokens=0, max_new_words=50)

    def lengths(settings: GenerationConfig, **changes: object) -> tuple[int, int]:
        changed = with_changes(settings, changes)
        return changed.max_new_tokens, changed.max_new_words

    assert lengths(in_words, max_new_tokens="200") == (200, 0)
    assert lengths(GenerationConfig(), max_new_words="7") == (0, 7)
    assert lengths(GenerationConfig(), max_new_words="7", max_new_tokens="9") == (9, 7)
    assert lengths(ALL_ON, max_new_tokens="off") == (0, 50)
    assert lengths(in_words, top_k="3") == (0, 50)
    with pytest.raises(UsageError, match="never end"):
        lengths(GenerationConfig(), max_new_tokens=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"top_k": "hot"}, "generation.top_k = 'hot' is not valid: it must be a whole number, or off."),
        ({"top_k": 2.5}, "it must be a whole number, or off."),
        ({"top_k": True}, "it must be a whole number, or off."),
        ({"top_k": None}, "it must be a whole number, or off."),
        ({"top_k": float("inf")}, "it must be a whole number, or off."),
        ({"temperature": "hot"}, "generation.temperature = 'hot' is not valid: it must be a number."),
        ({"temperature": "off"}, "generation.temperature cannot be switched off."),
        ({"temperature": 0}, "generation.temperature = 0.0 is not valid"),
        ({"seed": "off"}, "generation.seed cannot be switched off."),
        ({"greedy": "perhaps"}, "it must be true or false, or off."),
        ({"greedy": 2}, "it must be true or false, or off."),
        ({"stop": [1]}, "it must be a string or a list of strings, or off."),
        ({"top_p": 1.5}, "generation.top_p = 1.5 is not valid: it must be at most 1.0."),
        ({"topk": 3}, "generation.topk"),
    ],
)
def test_what_is_not_possible_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_changes(GenerationConfig(), changes)
    assert said in caught.value.message
    assert caught.value.hint


any_settings = st.builds(
    GenerationConfig,
    top_k=st.integers(0, 99),
    top_p=st.floats(0.01, 1),
    min_p=st.floats(0, 1),
    greedy=st.booleans(),
    seed=st.integers(0, 2**70),
    stop=st.lists(st.text(min_size=1).filter(lambda text: text != "off"), max_size=3),
)


@given(any_settings)
def test_settings_survive_as_json_and_as_typed_text(settings: GenerationConfig) -> None:
    values = settings.model_dump(mode="json", exclude={"prompts"})
    assert with_changes(ALL_ON, values) == settings
    typed = {name: value if isinstance(value, list) else str(value) for name, value in values.items()}
    assert with_changes(ALL_ON, typed) == settings


NEW_FIELD = """
    typical_p: Annotated[Fraction, Control("typical-p", (0.0, 1.0, 0.05), off=0.0)] = Field(
        0.0, description="Sample from the tokens whose information is closest to the entropy (0: off)."
    )
    greedy:"""
WITH_A_NEW_FIELD = f"""
import asyncio, json, sys, types
from pathlib import Path

house = Path({str(HOUSE)!r})
sys.path.insert(0, str(house))
source = (house / "lmcore/config.py").read_text()
assert source.count("\\n    greedy:") == 1
module = types.ModuleType("lmcore.config")
sys.modules["lmcore.config"] = module
exec(compile(source.replace("\\n    greedy:", {NEW_FIELD!r}), "config.py", "exec"), module.__dict__)

import cli
from commands.output.errors import run_safely
assert run_safely(cli.app, ["generate", "--help"]) == 0
assert run_safely(cli.app, ["generate", "x", "--typical-p", "1.5"]) == 2

from textual.app import App
from tui.generate.panels import SlidersPanel

class Sliders(App):
    def compose(self):
        yield SlidersPanel({{"typical_p": 0.35}})

async def request():
    async with Sliders().run_test() as pilot:
        return pilot.app.query_one(SlidersPanel).request()

print(json.dumps(asyncio.run(request())))
"""


def test_a_new_field_is_an_option_and_a_slider_without_another_line() -> None:
    done = subprocess.run([sys.executable, "-c", WITH_A_NEW_FIELD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--typical-p FLOAT|off" in done.stdout
    assert "closest to the" in done.stdout
    assert "--typical-p = 1.5 is not valid: it must be at most 1.0." in done.stderr
    assert '"typical_p": 0.35' in done.stdout.splitlines()[-1]
