"""The charts' pure functions against closed forms, and against slow but plain versions of themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tui.charts.decimate import Pyramid, column_extremes
from tui.charts.plot import Mark, Plot, Series, draw
from tui.charts.smoothing import Ema, ema
from tui.charts.ticks import format_count, format_time, format_value, linear_ticks, log_ticks, time_ticks
from tui.charts.viewport import Viewport

values = st.floats(-1e6, 1e6) | st.just(math.nan)
series_of_values = arrays(np.float64, st.integers(0, 400), elements=values)


def pyramid(y: list[float] | np.ndarray) -> Pyramid:
    made = Pyramid()
    made.extend(np.asarray(y, dtype=np.float64))
    return made


def text_of(plot: Plot, width: int = 60, height: int = 16, *, ascii_only: bool = False) -> list[str]:
    canvas = draw(plot, width, height, ascii_only=ascii_only).canvas
    return ["".join(text for text, _ in canvas.runs(row)) for row in range(height)]


def styles_of(plot: Plot, width: int = 60, height: int = 16) -> set[int]:
    return set(draw(plot, width, height).canvas.styles.ravel().tolist())


# Smoothing.


def test_the_average_of_a_constant_is_the_constant_from_the_first_value_on() -> None:
    assert ema(np.full(100, 7.0), 0.97) == pytest.approx(np.full(100, 7.0))


def test_the_average_follows_its_formula_also_over_many_blocks() -> None:
    y = np.random.default_rng(0).normal(size=500)
    mean, expected = 0.0, []
    for t, value in enumerate(y, 1):
        mean = 0.9 * mean + 0.1 * value
        expected.append(mean / (1 - 0.9**t))
    assert ema(y, 0.9) == pytest.approx(np.array(expected), rel=1e-9)


@given(series_of_values, st.sampled_from([0.0, 0.6, 0.97]), st.integers(1, 50))
def test_feeding_the_average_in_pieces_changes_nothing(y: np.ndarray, beta: float, piece: int) -> None:
    fed = Ema(beta)
    pieces = [fed.push(y[start : start + piece]) for start in range(0, len(y), piece)]
    np.testing.assert_allclose(np.concatenate([*pieces, np.empty(0)]), ema(y, beta), rtol=1e-9, atol=1e-6)


@given(series_of_values)
def test_gaps_stay_gaps_and_the_average_stays_within_the_values(y: np.ndarray) -> None:
    smoothed = ema(y, 0.9)
    finite = np.isfinite(y)
    assert (np.isfinite(smoothed) == finite).all()
    if finite.any():
        assert smoothed[finite].min() >= y[finite].min() - 1e-6
        assert smoothed[finite].max() <= y[finite].max() + 1e-6


@pytest.mark.parametrize("beta", [-0.1, 1.0])
def test_a_smoothing_outside_its_range_is_refused(beta: float) -> None:
    with pytest.raises(ValueError, match="beta"):
        Ema(beta)


# Decimation.


@given(series_of_values, st.integers(1, 30))
def test_columns_hold_exactly_the_extremes_of_their_points(y: np.ndarray, columns: int) -> None:
    x = np.arange(len(y), dtype=float)
    edges = np.linspace(-0.5, max(len(y), 1) - 0.5, columns + 1)
    least, greatest = column_extremes(x, y, y, edges)
    for c in range(columns):
        inside = y[(x >= edges[c]) & (x < edges[c + 1])]
        inside = inside[np.isfinite(inside)]
        if len(inside):
            assert (least[c], greatest[c]) == (inside.min(), inside.max())
        else:
            assert np.isnan(least[c])
            assert np.isnan(greatest[c])


@given(arrays(np.float64, st.integers(1, 5000), elements=values), st.integers(1, 700), st.floats(1, 5000))
def test_every_level_of_the_pyramid_has_the_same_extremes(y: np.ndarray, piece: int, points_per_column: float) -> None:
    made = Pyramid()
    for start in range(0, len(y), piece):
        made.extend(y[start : start + piece])
    stride, low, high = made.level(points_per_column)
    assert len(low) == len(high) == -(-len(y) // stride)
    for block in {0, len(low) // 2, len(low) - 1}:
        inside = y[block * stride : (block + 1) * stride]
        inside = inside[np.isfinite(inside)]
        assert (
            (np.isnan(low[block]) and np.isnan(high[block]))
            if not len(inside)
            else (low[block], high[block]) == (inside.min(), inside.max())
        )


def test_a_long_curve_is_read_from_a_coarse_level() -> None:
    stride, low, _ = pyramid(np.arange(100_000)).level(points_per_column=250.0)
    assert stride == 16
    assert len(low) == 6250


def test_infinities_are_gaps() -> None:
    assert np.isnan(pyramid([1.0, math.inf, -math.inf]).values.values[1:]).all()


# Ticks.


@given(st.floats(-1e4, 1e4), st.floats(1e-2, 1e9), st.integers(2, 12))
def test_linear_ticks_are_few_ordered_inside_and_evenly_spaced(low: float, width: float, most: int) -> None:
    high = low + width
    ticks = linear_ticks(low, high, most)
    assert len(ticks) <= most
    assert all(low - 1e-6 * width <= tick <= high + 1e-6 * width for tick in ticks)
    assert np.diff(ticks) == pytest.approx(np.diff(ticks)[:1].repeat(max(len(ticks) - 1, 0)), rel=1e-6)


def test_ticks_are_round() -> None:
    assert linear_ticks(0, 5760, 6) == [0, 1000, 2000, 3000, 4000, 5000]
    assert log_ticks(30, 30_000, 8) == pytest.approx([30, 100, 300, 1000, 3000, 10_000, 30_000])
    assert log_ticks(30, 30_000, 6) == [100, 1000, 10_000]
    assert time_ticks(0, 1500, 6) == [0, 300, 600, 900, 1200, 1500]


@given(st.floats(1e-8, 1e8), st.floats(1.0001, 1e10), st.integers(2, 10))
def test_log_ticks_are_inside_and_few(low: float, ratio: float, most: int) -> None:
    ticks = log_ticks(low, low * ratio, most)
    assert len(ticks) <= most
    assert ticks == sorted(ticks)
    assert all(low * (1 - 1e-9) <= tick <= low * ratio * (1 + 1e-9) for tick in ticks)


@given(st.floats(0, 1e7), st.floats(1, 1e8), st.integers(2, 10))
def test_time_ticks_are_whole_seconds(low: float, width: float, most: int) -> None:
    ticks = time_ticks(low, low + width, most)
    assert len(ticks) <= most
    assert all(tick == int(tick) for tick in ticks)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (250, "250"), (1500, "1.5k"), (20_000_000, "20M"), (2_310_000, "2.31M")]
)
def test_counts_are_short(value: float, text: str) -> None:
    assert format_count(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75, "1:15"), (3661, "1:01:01"), (90_000, "1d01h")])
def test_times_read_as_a_clock(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(148.23, "148.2"), (0.8312, "0.8312"), (6.1e-4, "6.1e-4"), (1e-5, "1e-5"), (math.nan, "–"), (34567, "34567")],
)
def test_values_have_four_figures(value: float, text: str) -> None:
    assert format_value(value) == text


# The viewport.


@given(st.floats(0.1, 10), st.floats(0, 1000), st.floats(-2, 2))
def test_the_view_never_leaves_the_curve(factor: float, centre: float, share: float) -> None:
    view = Viewport().zoom(0.5, 300, 0, 1000).zoom(factor, centre, 0, 1000).pan(share, 0, 1000)
    low, high = view.span(0, 1000)
    assert -1e-9 <= low < high <= 1000 + 1e-9


def test_zooming_keeps_the_centre_where_it_is_and_out_again_shows_all() -> None:
    view = Viewport().zoom(0.5, 250, 0, 1000)
    assert view.span(0, 1000) == (125, 625)
    assert (250 - 125) / 500 == 0.25
    assert view.zoom(2.0, 250, 0, 1000) == Viewport()


def test_the_whole_view_grows_with_the_curve() -> None:
    assert Viewport().span(0, 10) == (0, 10)
    assert Viewport().span(0, 99) == (0, 99)


# Drawing.


def series(y: list[float], **options: object) -> Series:
    return Series("s", np.arange(len(y), dtype=float), pyramid(y), **options)  # type: ignore[arg-type]


def braille(lines: list[str]) -> list[tuple[int, int]]:
    return [
        (row, column) for row, line in enumerate(lines) for column, c in enumerate(line) if 0x2800 < ord(c) < 0x2900
    ]


def test_a_rising_line_runs_from_the_lower_left_to_the_upper_right() -> None:
    dots = braille(text_of(Plot([series([0, 1, 2, 3])])))
    columns = [column for _, column in dots]
    rows = [row for row, _ in sorted(dots, key=lambda dot: dot[1])]
    assert rows[0] == max(rows)
    assert rows[-1] == min(rows)
    assert set(columns) == set(range(min(columns), max(columns) + 1))


def test_there_is_a_gap_where_values_are_missing() -> None:
    dots = braille(text_of(Plot([series([1, 1, 1, 1, math.nan, math.nan, 1, 1, 1, 1])]), width=100))
    columns = sorted({column for _, column in dots})
    gaps = np.diff(columns)
    assert gaps.max() > 20
    assert (gaps > 1).sum() == 1


def test_a_single_spike_in_a_million_points_is_seen() -> None:
    y = np.ones(1_000_000)
    y[654_321] = 100.0
    spike = Series("s", np.arange(1e6), pyramid(y))
    dots = braille(text_of(Plot([spike]), width=80))
    top = [column for row, column in dots if row == 0]
    assert len(set(top)) == 1
    assert (top[0] - 4) / 76 == pytest.approx(0.654, abs=0.03)


def test_a_logarithmic_axis_makes_a_line_of_an_exponential() -> None:
    rows: dict[int, int] = {}
    for row, column in braille(text_of(Plot([series([10.0**k for k in range(6)])], log_y=True), width=66, height=20)):
        rows.setdefault(column, row)
    slopes = np.diff([rows[column] for column in sorted(rows)])
    assert set(slopes.tolist()) <= {0, -1}


@pytest.mark.parametrize("y", [[0.0, -1.0, -5.0], [math.nan] * 4, [5.0], [1.0, 0.0, 100.0]])
@pytest.mark.parametrize("log_y", [False, True])
def test_values_that_have_no_logarithm_or_no_range_are_no_trouble(y: list[float], log_y: bool) -> None:
    lines = text_of(Plot([series(y, marker="●")], log_y=log_y))
    assert all(len(line) == 60 for line in lines)


@given(
    arrays(np.float64, st.integers(0, 60), elements=st.floats(allow_nan=True, allow_infinity=True)),
    st.integers(1, 90),
    st.integers(1, 30),
    st.booleans(),
    st.booleans(),
)
def test_any_values_in_any_size_fill_the_cells_they_were_given(
    y: np.ndarray, width: int, height: int, log_y: bool, ascii_only: bool
) -> None:
    shown = Series("s", np.arange(len(y), dtype=float), pyramid(y), marker="o", mark_points=True)
    lines = text_of(Plot([shown], log_y=log_y, cursor=1.0), width, height, ascii_only=ascii_only)
    assert [len(line) for line in lines] == [width] * height


def test_two_series_differ_by_marker_as_well_as_by_hue() -> None:
    plot = Plot(
        [series([1, 2, 3], marker="●", mark_points=True), series([3, 2, 1], marker="▲", colour=1, mark_points=True)]
    )
    lines = "".join(text_of(plot))
    assert "●" in lines
    assert "▲" in lines
    assert {16, 17} <= styles_of(plot)


def test_ascii_charts_are_ascii() -> None:
    plot = Plot([series([1, 5, 2], marker="o")], [Mark("best", 1, 5.0), Mark("warning", 2), Mark("lr", 0)], cursor=1.0)
    assert "".join(text_of(plot, ascii_only=True)).isascii()


def test_marks_stand_where_they_happened() -> None:
    lines = text_of(Plot([series([5, 1, 5])], [Mark("best", 1, 1.0), Mark("warning", 2)]), width=63)
    row, column = next((row, line.index("★")) for row, line in enumerate(lines) if "★" in line)
    assert row == 13
    assert column == pytest.approx(2 + 60 / 2, abs=2)
    assert lines[13].index("⚠") == 62


def test_only_what_the_view_shows_sets_the_scale() -> None:
    y = [1000.0, 3.0, 2.0, 1.0]
    lines = text_of(Plot([series(y)], viewport=Viewport((1.5, 3.0))))
    assert not any("1000" in line for line in lines)


def test_the_x_axis_is_labelled_in_its_own_unit() -> None:
    lines = text_of(Plot([Series("s", np.array([0.0, 600.0]), pyramid([1, 2]))], x_kind="time"))
    assert "5:00" in lines[-1]
    assert lines[-1].endswith("time")


def test_a_column_knows_its_x() -> None:
    drawing = draw(Plot([series([0.0] * 101)]), 80, 12)
    assert drawing.x_at(drawing.left) == 0
    assert drawing.x_at(79) == 100
    assert drawing.x_at(500) == 100


def test_without_points_it_says_so() -> None:
    assert any("no data yet" in line for line in text_of(Plot([])))
