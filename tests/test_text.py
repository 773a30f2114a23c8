"""Whatever came from a model, a corpus or a file name is harmless before it reaches a terminal."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.text import harmless, human_bytes, human_count, human_time

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS = {"\u061c", "\u200e", "\u200f"}
any_text = st.text(st.characters() | st.sampled_from("\x1b\x9b\x07\x00\r\n\t\x7f\x85\u202e\u2066\u2028\u200d\ud800"))


@given(any_text, st.booleans())
def test_nothing_that_a_terminal_would_act_on_survives(text: str, keep: bool) -> None:
    shown = harmless(text, keep_newlines=keep)
    allowed = {"\n", "\t"} if keep else set()
    for character in shown:
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") or character in allowed, hex(
            ord(character)
        )
        assert unicodedata.bidirectional(character) not in BIDI
        assert character not in MARKS
    shown.encode()


@given(any_text, st.booleans())
def test_it_is_idempotent(text: str, keep: bool) -> None:
    assert harmless(harmless(text, keep), keep) == harmless(text, keep)


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_letters_marks_numbers_and_signs_of_all_scripts_are_unchanged(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize("text", ["Zoë ging naar 北京。", "👩‍👩‍👧 👍🏽 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "می‌خواهم", "e\u0301", "a\tb\nc"])
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert harmless(text) == text


def test_escape_sequences_are_shown_and_not_carried_out() -> None:
    assert harmless("a\x1b[31mred\x1b]0;title\x07\x9b2J") == "a␛[31mred␛]0;title␇\ufffd2J"
    assert harmless("invoice\u202efdp.exe") == "invoicefdp.exe"
    assert harmless("overwritten\rtext\r\nnext") == "overwritten␍text\nnext"
    assert harmless("one\r\ntwo\u2028three\tfour", keep_newlines=False) == "one two three four"


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1023.7, "1.0 KB"),
        (1024, "1.0 KB"),
        (1024**2 - 1, "1.0 MB"),
        (3.5 * 2**30, "3.5 GB"),
        (2**60, "1024.0 PB"),
    ],
)
def test_bytes(n: float, text: str) -> None:
    assert human_bytes(n) == text


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0"), (999, "999"), (1000, "1.0K"), (59_635_968, "59.6M"), (999_960, "1.0M"), (-1500, "-1.5K")]
)
def test_counts(n: float, text: str) -> None:
    assert human_count(n) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (3.14, "3.1s"),
        (9.96, "10s"),
        (59.7, "1m 00s"),
        (760, "12m 40s"),
        (3599.6, "1h 00m"),
        (11_100, "3h 05m"),
        (187_200, "2d 4h"),
        (-760, "-12m 40s"),
        (math.inf, "?"),
        (math.nan, "?"),
    ],
)
def test_times(seconds: float, text: str) -> None:
    assert human_time(seconds) == text


@given(st.floats(0, 1e15))
def test_a_short_number_is_within_its_last_digit(n: float) -> None:
    text = human_count(n)
    scale = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text[-1], 1.0)
    assert float(text.rstrip("KMBT")) * scale == pytest.approx(n, abs=0.051 * scale if scale > 1 else 0.5)
