"""A text limited in words ends with a whole word, whatever its tokens are."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from lmcore.generation.word_limit import WordLimit


@given(
    st.sampled_from(["", "He said", "He said "]),
    st.lists(st.text("ab \n,\u00a0", max_size=4), max_size=15),
    st.integers(0, 4),
)
def test_the_same_as_cutting_the_finished_text(prompt: str, tokens: list[str], most: int) -> None:
    limit = WordLimit(most, prompt)
    streamed = ""
    for token in tokens:
        streamed += limit.push(token)
        if limit.reached:
            break
    text = "".join(tokens)
    # The definition: the rest of the prompt's word or white space, then so many words, if white space follows them.
    first = r"\S*\s+" if prompt and not prompt[-1].isspace() else r"\s*"
    whole = re.match(first + r"\S+" + r"(?:\s+\S+)" * (most - 1) + r"(?=\s)", text) if most else None
    assert streamed == (whole[0] if whole else text)
    assert limit.reached == bool(whole)
