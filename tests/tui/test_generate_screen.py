"""The Generate screen as a user works with it, against a computing process without torch; the last test is against the
real one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from tests.tui.recorded import finish, record, start, training
from tests.tui.scenes import FAKE_ENGINE, TEXT, TINY, empty_checkpoint, notes, opened, real_checkpoint, shown, until
from tui.app import LmApp
from tui.engine.client import Engine
from tui.generate import screen as generate_screen
from tui.generate.panels import Alternatives
from tui.generate.sources import Source
from tui.widgets.choose import Choose
from tui.widgets.slider import Slider


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    root = tmp_path / "runs"
    for step, name in enumerate(("alpha", "beta", "broken", "slow", "stuck", "dying"), start=1):
        empty_checkpoint(record(root, name, [start(), finish(100)]), 10 * step)
    return root


def with_fake_engine(screen: Any) -> None:
    screen.engine.close()
    screen.engine = Engine(screen.post_message, FAKE_ENGINE)


async def write(screen: Any, pilot: Pilot[Any], prompt: str = "Harry saw ") -> None:
    """Type a prompt and press enter."""
    with_fake_engine(screen)
    await begin(screen, pilot, prompt)


async def begin(screen: Any, pilot: Pilot[Any], prompt: str) -> None:
    """Type a prompt and press enter; the texts of before are gone then."""
    before = [panel.column for panel in screen.text_panels]
    screen.query_one(Input).focus()
    screen.query_one(Input).value = prompt
    await pilot.press("enter")
    await until(
        pilot,
        lambda: all(panel.column not in before and panel.column.state != "waiting" for panel in screen.text_panels[:1]),
        20,
    )


async def written(screen: Any, pilot: Pilot[Any], prompt: str = "Harry saw ") -> None:
    """Write, and wait for the end."""
    await write(screen, pilot, prompt)
    await until(pilot, lambda: screen.job is None, 20)
    await pilot.pause()


async def test_two_checkpoints_side_by_side_with_the_place_where_they_part(root: Path) -> None:
    async with opened(root, "generate", sources=["alpha:best", "beta:last"]) as (_, screen, pilot):
        await written(screen, pilot)
        one, two = screen.text_panels
        assert shown(one.view).strip() == "Harry saw and the ┊castle was old"
        assert "Harry saw and the ┊door ␛[31mshut" in shown(two.view)
        assert str(one.border_title) == "alpha · best 10"
        assert str(two.border_title) == "beta · last 20"
        assert "5 tokens · 500 tok/s · nll 1.20" in shown(one.query_one(".status"))


async def test_a_checkpoint_that_fails_says_so_and_the_other_goes_on(root: Path) -> None:
    async with opened(root, "generate", sources=["broken:best", "alpha:best"]) as (_, screen, pilot):
        await written(screen, pilot)
        assert "Its weights cannot be read." in shown(screen.text_panels[0].query_one(".status"))
        assert screen.text_panels[1].column.text() == "and the castle was old"


async def test_a_computing_process_that_dies_is_reported_and_the_next_prompt_starts_another(root: Path) -> None:
    async with opened(root, "generate", sources=["dying:best"]) as (_, screen, pilot):
        await written(screen, pilot)
        assert "ended unexpectedly" in shown(screen.text_panels[0].query_one(".status"))
        await screen.use([Source("alpha")])
        await written(screen, pilot)
        assert screen.text_panels[0].column.text() == "and the castle was old"


async def test_escape_stops_the_computation(root: Path) -> None:
    async with opened(root, "generate", sources=["slow:best"]) as (_, screen, pilot):
        await write(screen, pilot)
        column = screen.text_panels[0].column
        await until(pilot, lambda: len(column.samples[0]) > 3)
        process = screen.engine.pid
        await pilot.press("escape")
        await until(pilot, lambda: screen.job is None, 2.0)
        count = len(column.samples[0])
        assert screen.engine.pid == process
        assert column.tokens == count
        assert "stopped" in shown(screen.text_panels[0].query_one(".status"))


async def test_a_computation_that_does_not_stop_is_killed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_screen, "STOP_SECONDS", 0.2)
    async with opened(root, "generate", sources=["stuck:best"]) as (_, screen, pilot):
        await write(screen, pilot)
        await until(pilot, lambda: len(screen.text_panels[0].column.samples[0]) > 3)
        process = screen.engine.pid
        await pilot.press("escape")
        await until(pilot, lambda: screen.job is None)
        assert screen.engine.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


async def test_closing_the_app_ends_the_computing_process(root: Path) -> None:
    async with opened(root, "generate", sources=["slow:best"]) as (_, screen, pilot):
        await write(screen, pilot)
        process = screen.engine.pid
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


async def test_the_cursor_shows_what_else_a_token_might_have_been(root: Path) -> None:
    async with opened(root, "generate", sources=["alpha:best", "beta:best"]) as (_, screen, pilot):
        await written(screen, pilot)
        await pilot.press("escape", "right", "right", "right")
        assert screen.text_panels[0].view.token.text == "castle"
        line = shown(screen.query_one(Alternatives))
        assert "'castle' 0.100" in line
        assert "'else' 0.200" in line
        # A click on the other text takes the cursor there.
        await pilot.click(screen.text_panels[1].view, offset=(len("Harry saw a"), 0))
        assert screen.text_panels[0].view.cursor is None
        assert screen.text_panels[1].view.token.text == "and "
        await pilot.press("escape")
        await pilot.pause()
        assert screen.text_panels[1].view.cursor is None
        assert shown(screen.query_one(Alternatives)).strip() == ""


async def test_copy_and_keep(root: Path) -> None:
    async with opened(root, "generate", sources=["alpha:best"]) as (app, screen, pilot):
        await pilot.press("escape", "k")
        assert "There is no text yet" in notes(app)
        await written(screen, pilot)
        await pilot.press("escape", "c", "k")
        await pilot.pause()
        assert app.clipboard == "Harry saw and the castle was old"
        assert "Some terminals do not support this" in notes(app)
        kept = json.loads((root / "alpha" / "kept-samples.jsonl").read_text())
        assert (kept["run"], kept["step"], kept["prompt"], kept["text"]) == (
            "alpha",
            10,
            "Harry saw ",
            "and the castle was old",
        )
        assert kept["settings"]["temperature"] == 0.8


async def test_a_sample_of_a_deleted_run_is_kept_elsewhere(root: Path, tmp_path: Path) -> None:
    async with opened(root, "generate", sources=["alpha:best"]) as (app, screen, pilot):
        await written(screen, pilot)
        (root / "alpha").rename(root.parent / "gone")
        await pilot.press("escape", "k")
        await pilot.pause()
        assert json.loads((tmp_path / "state" / "kept-samples.jsonl").read_text())["run"] == "alpha"
        assert str(tmp_path / "state") in notes(app)


async def test_several_samples_each_under_its_own_heading(root: Path) -> None:
    async with opened(root, "generate", sources=["alpha:best"], generate={"num_samples": 2.0}) as (_, screen, pilot):
        await written(screen, pilot)
        text = shown(screen.text_panels[0].view)
        assert "sample 2" in text
        assert text.count("castle was old") == 2


async def test_prompts_and_settings_are_remembered(root: Path) -> None:
    async with opened(root, "generate", sources=["alpha:best"]) as (_, screen, pilot):
        for prompt in ("one", "two", "one"):
            await written(screen, pilot, prompt)
        field = screen.query_one(Input)
        field.value = "half a th"
        seen = []
        for key in ("up", "up", "up", "down", "down"):
            await pilot.press(key)
            seen.append(field.value)
        assert seen == ["one", "two", "two", "one", "half a th"]
        screen.query_one("#temperature", Slider).focus()
        await pilot.press(*"1.3", "enter")
        await pilot.pause()
    app = LmApp(root=root)
    assert app.session.settings.prompts == ["two", "one"]
    assert app.session.settings.generate["temperature"] == 1.3
    assert app.session.settings.sources == ["alpha:best"]


async def test_checkpoints_are_chosen_from_those_there_are(root: Path) -> None:
    run = record(root, "gamma", [*training(100), finish(100)])
    empty_checkpoint(run, 50)
    empty_checkpoint(run, 100, best=False)
    async with opened(root, "generate", sources=["alpha:best"]) as (app, screen, pilot):
        await pilot.press("escape", "a")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        dialog = app.screen
        assert isinstance(dialog, Choose)
        assert {"gamma:best", "gamma:last", "alpha:best"} <= {choice.id for choice in dialog._choices}
        assert dialog.marked == ["alpha:best"]
        await pilot.press("slash", *"gamma", "down")
        dialog.query_one(OptionList).focus()
        await pilot.press("space", "enter")
        await until(pilot, lambda: app.screen == screen and len(screen.text_panels) == 2)
        assert [str(panel.source) for panel in screen.text_panels] == ["alpha:best", "gamma:last"]
        assert app.session.settings.sources == ["alpha:best", "gamma:last"]


async def test_at_most_four_checkpoints(root: Path) -> None:
    async with opened(root, "generate", sources=["alpha:best"]) as (app, _, pilot):
        await pilot.press("escape", "a")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        for _ in range(6):
            await pilot.press("space", "down")
        assert isinstance(app.screen, Choose)
        assert len(app.screen.marked) == 4
        assert "At most 4" in notes(app)


async def test_without_a_checkpoint_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    record(tmp_path / "runs", "young", [start()])
    async with opened(tmp_path / "runs", "generate") as (app, _screen, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: "There is no checkpoint to generate with." in notes(app))
        await pilot.press("escape", "a")
        await until(pilot, lambda: "No run has a checkpoint yet" in notes(app))


async def test_g_on_watch_generates_with_that_run(root: Path) -> None:
    async with opened(root, "watch", run="beta") as (app, _, pilot):
        app.session.selected = "beta"
        await until(pilot, lambda: app.session.rows)
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, generate_screen.GenerateScreen) and app.screen.sources)
        assert isinstance(app.screen, generate_screen.GenerateScreen)
        assert app.screen.sources == [Source("beta", "best")]


async def test_g_generates_again(root: Path) -> None:
    async with opened(root, "generate", sources=["alpha:best"]) as (_, screen, pilot):
        await written(screen, pilot)
        first = screen.text_panels[0].column
        await pilot.press("escape", "g")
        await until(pilot, lambda: screen.text_panels[0].column is not first and screen.job is None)
        await until(pilot, lambda: screen.text_panels[0].column.text() == "and the castle was old")


async def test_folded_the_texts_and_settings_are_tabs_and_the_prompt_stays(root: Path) -> None:
    async with opened(root, "generate", size=(80, 24), sources=["alpha:best", "beta:best"]) as (_, screen, pilot):
        one, two = screen.text_panels
        assert screen.folded
        seen = []
        for _ in range(3):
            seen.append([panel.is_on_screen and panel.display for panel in (one, two, screen.query_one("#sliders"))])
            assert screen.query_one(Input).region.height == 1
            await pilot.press("escape", "right_square_bracket")
            await pilot.pause()
        assert seen == [[True, False, False], [False, True, False], [False, False, True]]


async def test_tints_differ_without_colour(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(root, "generate", sources=["alpha:best"]) as (_, screen, pilot):
        await written(screen, pilot)
        view = screen.text_panels[0].view
        styles = [view.get_component_rich_style(f"tokens--level-{level}", partial=True) for level in (0, 2, 3, 4)]
        assert len({(style.dim, style.underline, style.bold) for style in styles}) == 4
        await pilot.press("escape", "i")
        assert not view.tinted
        assert view._style(0) == view.rich_style + view.get_component_rich_style("tokens--plain", partial=True)


async def test_one_thread_while_a_run_trains(root: Path) -> None:
    from tests.tui.scenes import training_run

    training_run(root, "live")
    asked: list[dict[str, Any]] = []
    async with opened(root, "generate", sources=["alpha:best"]) as (app, screen, pilot):
        await until(pilot, lambda: any(row.state == "running" for row in app.session.rows))
        with_fake_engine(screen)
        send = screen.engine.send

        def record_and_send(op: str, **values: Any) -> int:
            asked.append(values)
            return int(send(op, **values))

        screen.engine.send = record_and_send
        screen.query_one(Input).value = "x"
        await pilot.press("enter")
        await until(pilot, lambda: asked)
        assert asked[0]["threads"] == 1


@pytest.mark.slow
async def test_the_real_process_generates_what_the_generator_does(root: Path) -> None:
    from lmcore.config import GenerationConfig
    from lmcore.generation import load_generator

    folders = [
        real_checkpoint(record(root, name, [start(), finish(100)], settings=TINY), 100, seed=seed)
        for seed, name in enumerate(("one", "two"))
    ]
    settings = GenerationConfig(max_new_tokens=30, temperature=0.7, top_k=5, seed=3)
    wanted = [
        "".join(piece.text for piece in load_generator(folder, "cpu").generate("Harry ", settings))
        for folder in folders
    ]
    sliders = {"max_new_tokens": 30.0, "temperature": 0.7, "top_k": 5.0, "seed": 3.0}
    async with opened(root, "generate", sources=["one:best", "two:best"], generate=sliders) as (_, screen, pilot):
        await until(pilot, lambda: screen.sources)
        await begin(screen, pilot, "Harry ")
        await until(pilot, lambda: screen.job is None)
        assert [panel.column.text() for panel in screen.text_panels] == wanted
        assert all(len(token.alternatives) == 5 for token in screen.text_panels[0].column.samples[0])
        assert set("".join(wanted)) <= {*TEXT, *"<unk>"}
        # A long text is stopped in the middle of its computation.
        screen.query_one("#max_new_tokens", Slider).set_value(100_000)
        screen.query_one(Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: len(screen.text_panels[1].column.samples[0]) > 20)
        await pilot.press("escape")
        await until(pilot, lambda: screen.job is None, 3.0)
        assert screen.engine.pid is not None
        assert 20 < screen.text_panels[1].column.tokens < 50_000


async def test_sliders_without_an_effect_say_so_and_off_is_written_off(root: Path) -> None:
    async with opened(root, "generate") as (_, screen, pilot):
        names = ("greedy", "top_k", "top_p", "seed", "max_new_words")
        slider = {name: screen.query_one(f"#{name}", Slider) for name in names}
        assert all(shown(slider[name]).endswith(" off") for name in ("greedy", "top_k", "top_p", "max_new_words"))
        slider["top_k"].set_value(40)
        await pilot.pause()
        assert shown(slider["top_k"]).endswith(" 40")
        slider["greedy"].set_value(1)
        await until(pilot, lambda: shown(slider["top_k"]).endswith(" unused"))
        assert "generation.greedy = true" in str(slider["top_k"].tooltip)
        assert [name for name in slider if shown(slider[name]).endswith(" unused")] == ["top_k", "top_p", "seed"]
        slider["greedy"].set_value(0)
        await until(pilot, lambda: shown(slider["top_k"]).endswith(" 40"))
