"""Wrapping, parting, tints and the slider, which the Write screen is made of."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult

from tui.generate.texts import CheckpointTexts, Token, parting
from tui.generate.wrapping import PROMPT, Wrapped
from tui.widgets.slider import Scale, Slider

words = st.text(alphabet="ab 界\n", max_size=30)


def column(text: str) -> CheckpointTexts:
    made = CheckpointTexts()
    made.add(0, text, 0.5, 0.7, [])
    return made


@given(st.lists(words, max_size=12), st.integers(4, 30))
def test_wrapping_fits_the_width_and_loses_nothing_but_spaces_at_line_ends(tokens: list[str], width: int) -> None:
    wrapped = Wrapped(width)
    for number, token in enumerate(tokens):
        wrapped.push(number, token)
    lines = ["".join(text for _, text in line) for line in wrapped.lines]
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join("".join(tokens).split())
    for line in wrapped.lines:
        assert [number for number, _ in line] == sorted(number for number, _ in line)


@given(st.lists(st.sampled_from(["ab", "cd", " ", "efg"]), max_size=40), st.integers(12, 40))
def test_words_of_several_tokens_are_not_torn(tokens: list[str], width: int) -> None:
    wrapped = Wrapped(width)
    for number, token in enumerate(tokens):
        wrapped.push(number, token)
    lines = ["".join(text for _, text in line) for line in wrapped.lines]
    text = "".join(tokens).split()
    # Only words longer than a line are cut.
    if max(map(len, text), default=0) <= width:
        assert [word for line in lines for word in line.split()] == text


def test_the_token_at_a_cell() -> None:
    wrapped = Wrapped(10)
    wrapped.push(PROMPT, "Say ")
    wrapped.push(0, "界")
    wrapped.push(1, "x yes")
    assert [wrapped.token_at(x, 0) for x in (0, 4, 5, 6, 9)] == [None, 0, 0, 1, None]
    assert wrapped.token_at(0, 1) == 1
    assert wrapped.line_of(1) == 0


@given(st.lists(st.text(alphabet="ab", max_size=6), min_size=2, max_size=4))
@example(["a", "ab", "aba", "abb"])
def test_texts_part_at_the_first_place_where_two_that_reach_it_differ(texts: list[str]) -> None:
    places = [
        place
        for place in range(6)
        if len({text[place] for text in texts if place < len(text)}) > 1
    ]  # fmt: skip
    assert parting([column(text) if text else CheckpointTexts() for text in texts], 0) == (
        places[0] if places else None
    )


def test_what_a_model_writes_is_harmless_and_tinted_by_its_probability() -> None:
    made = CheckpointTexts()
    token = made.add(1, "a\x1b]0;title\x07", 0.3, 1.2, [["\x1b[2J", 0.5]])
    assert "\x1b" not in made.text(1) + token.alternatives[0][0]
    assert made.samples[0] == []
    assert [Token("x", p, 0.0).level for p in (0.9, 0.5, 0.3, 0.1, 0.02, 0.001)] == [0, 0, 1, 2, 3, 4]


class OneSlider(App[None]):
    def compose(self) -> ComposeResult:
        yield Slider("temperature", Scale(0.0, 2.0, 0.1, most=10.0), 0.8)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("right",), 0.9),
        (("left", "left"), 0.6),
        (("home",), 0.0),
        (("home", "left"), 0.0),
        (("end", "right"), 2.1),
        (("pagedown",), 0.0),
        ((*tuple("1.25"), "enter"), 1.25),
        ((*tuple("99"), "enter"), 10.0),
        ((*tuple("12"), "backspace", "enter"), 1.0),
        (("7", "escape"), 0.8),
        ((".", "enter"), 0.8),
    ],
)
async def test_a_slider_moves_by_keys_and_takes_what_is_typed(keys: tuple[str, ...], value: float) -> None:
    app = OneSlider()
    async with app.run_test(size=(40, 3)) as pilot:
        slider = app.query_one(Slider)
        slider.focus()
        await pilot.press(*keys)
        assert slider.value == pytest.approx(value)
        assert f"{value:g}" in slider.render().plain


async def test_a_slider_follows_the_mouse_and_stays_on_its_steps() -> None:
    app = OneSlider()
    async with app.run_test(size=(40, 3)) as pilot:
        slider = app.query_one(Slider)
        start, width = slider._bar()
        for share, value in ((0.0, 0.0), (0.5, 1.0), (1.0, 2.0)):
            place = (1 + start + round(share * (width - 1)), 0)
            await pilot.mouse_down(Slider, offset=place)
            await pilot.mouse_up(Slider, offset=place)
            assert slider.value == pytest.approx(value, abs=0.11)
            assert round(slider.value * 10) == pytest.approx(slider.value * 10)
