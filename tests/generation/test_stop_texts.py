"""No part of a stop text is ever shown, and nothing else is lost."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from lmcore.generation import GeneratedToken
from lmcore.generation.stop_texts import StopFilter


def run(tokens: list[str], stop_texts: list[str]) -> tuple[list[list[str]], StopFilter]:
    """The texts shown after each token, and after the end."""
    stop_filter = StopFilter(stop_texts)
    shown = []
    for token in tokens:
        shown.append([passed.text for passed in stop_filter.push(GeneratedToken(0, token, 0, 0.5, 0.7))])
        if stop_filter.stopped:
            return shown, stop_filter
    shown.append([passed.text for passed in stop_filter.flush()])
    return shown, stop_filter


def test_a_stop_text_across_tokens_is_held_back_from_its_first_letter() -> None:
    shown, stop_filter = run(["Once", " upon", " a t", "ime", "!"], ["a time"])
    assert shown == [["Once"], [" upon"], [], [" "]]
    assert stop_filter.stopped


def test_what_only_looked_like_a_stop_text_is_shown() -> None:
    shown, stop_filter = run(["x", "\n", "y", "\n", "\n", "z"], ["\n\n"])
    assert shown == [["x"], [], ["\n", "y"], [], []]
    assert stop_filter.stopped


def test_an_unfinished_stop_text_at_the_end_is_text() -> None:
    assert run(["ab", "c"], ["cd"])[0] == [["ab"], [], ["c"]]


def test_without_stop_texts_every_token_passes_at_once() -> None:
    assert run(["a", "", "b"], [""])[0] == [["a"], [""], ["b"], []]


@given(
    st.lists(st.text("ab", max_size=3), max_size=12),
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_streaming_shows_what_cutting_the_finished_text_would(tokens: list[str], stop_texts: list[str]) -> None:
    shown, stop_filter = run(tokens, stop_texts)
    streamed = "".join(text for step in shown for text in step)
    # Up to the token that completes a stop text; of several completed by one token, the first counts.
    so_far = ""
    for token in tokens:
        so_far += token
        if any(stop in so_far for stop in stop_texts):
            assert stop_filter.stopped
            assert streamed == re.split("|".join(map(re.escape, stop_texts)), so_far)[0]
            return
    assert not stop_filter.stopped
    assert streamed == so_far
