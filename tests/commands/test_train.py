"""`lm train` as a person uses it: real processes, stopped and continued."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.runs import Run
from tests.commands.conftest import TINY, Answer, run_lm, start_lm

Lm = Callable[..., Answer]

SUMMARY = [
    *("run", "steps", "tokens", "seconds", "tokens_per_second", "train_loss", "best_step"),
    *("val_loss", "val_perplexity", "val_tokens_scored", "test_loss", "test_perplexity", "test_tokens_scored"),
    *("bits_per_byte", "peak_memory_bytes"),
]


def test_json_has_exactly_the_named_keys(trained: tuple[Path, Answer]) -> None:
    path, answer = trained
    summary = json.loads(answer.out)
    assert list(summary) == SUMMARY
    assert summary["run"] == path.name == "tiny"
    assert summary["steps"] == 60
    assert summary["tokens"] == 60 * 4 * 16
    # A uniform guess among the corpus' characters has loss ln(V), V about 35.
    assert 0 < summary["val_loss"] < 3.4


def test_a_pipe_gets_one_line_per_report(trained: tuple[Path, Answer]) -> None:
    _, answer = trained
    reports = [line for line in answer.err.splitlines() if line.startswith("step ")]
    assert [line.split()[1] for line in reports[:3]] == ["5/60", "10/60", "15/60"]
    for part in ("loss", "ppl", "lr", "tok/s", "ETA"):
        assert part in reports[3]
    assert "\r" not in answer.err
    assert "\x1b" not in answer.err


def test_the_run_records_who_made_it(trained: tuple[Path, Answer]) -> None:
    info = Run(trained[0]).info()
    assert info["preset"] == "quick"
    assert "--max-steps" in info["argv"]
    assert info["versions"]["torch"]
    assert len(info["corpus_hash"]) >= 16
    assert len(info["tokenizer_hash"]) >= 16


def test_a_path_is_kept_absolute(trained: tuple[Path, Answer]) -> None:
    assert Path(Run(trained[0]).config_values()["data"]["corpus"]).is_absolute()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_resume_goes_on(lm: Lm, text_file: Path, number: signal.Signals, code: int) -> None:
    with start_lm("train", "--run", "long", "--data", str(text_file), "--max-steps", "1000000", *TINY) as process:
        wait_for_step(process, 5)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "lm train --resume long" in err
    run = Run(Path(os.environ["LM_RUNS"]) / "long")
    assert run.state() == "stopped"
    stopped_at = run.checkpoints()[-1].step
    assert stopped_at >= 5

    answer = lm("train", "--resume", "long", "--max-steps", str(stopped_at + 7), "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["steps"] == stopped_at + 7
    assert run.config_values()["training"]["max_steps"] == stopped_at + 7
    assert run.history().start[-1]["resumed_from"] == stopped_at


def test_resume_refuses_what_would_make_it_another_run(lm: Lm, runs: Path) -> None:
    before = (runs / "tiny" / "config.toml").read_text()
    answer = lm("train", "--resume", "tiny", "--set", "model.n_layer=2")
    assert answer.code == 2
    assert "model.n_layer" in answer.err
    assert (runs / "tiny" / "config.toml").read_text() == before


def test_names_count_up_from_the_preset(lm: Lm, text_file: Path) -> None:
    for expected in ("quick-1", "quick-2"):
        answer = lm("train", "--data", str(text_file), "--max-steps", "1", "--json", *TINY)
        assert json.loads(answer.out)["run"] == expected


def test_the_summary_is_a_table_without_json(lm: Lm, text_file: Path) -> None:
    answer = lm("train", "--data", str(text_file), "--max-steps", "2", "--run", "short", *TINY)
    assert answer.code == 0
    assert "val perplexity" in answer.out
    assert "step" not in answer.out.splitlines()[0]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_before_the_first_step_leaves_nothing(text_file: Path, number: signal.Signals, code: int) -> None:
    with start_lm("train", "--run", "early", "--data", str(text_file), "--max-steps", "1000000", *TINY) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("training early")
        time.sleep(0.1)  # PyTorch is being imported, which takes more than a second
        process.send_signal(number)
        err = process.stderr.read()
        assert process.wait(timeout=60) == code
    assert "the run was not kept" in err
    assert not (Path(os.environ["LM_RUNS"]) / "early").exists()


@pytest.mark.slow
def test_a_terminal_gets_one_line_that_redraws(text_file: Path) -> None:
    output = in_terminal("train", "--run", "shown", "--data", str(text_file), "--max-steps", "20", *TINY, columns=140)
    assert "\r\x1b[2K[" in output
    redrawn = [part for part in output.split("\r\x1b[2K") if part.startswith("[=")]
    assert redrawn
    assert all(len(part.split("\r")[0].split("\n")[0]) < 140 for part in redrawn)
    assert "val perplexity" in output


@pytest.mark.slow
def test_a_reader_that_goes_away_does_not_stop_the_training(text_file: Path) -> None:
    with start_lm("train", "--run", "unheard", "--data", str(text_file), "--max-steps", "40", *TINY) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        process.stderr.close()
        process.stdout.close()
        assert process.wait(timeout=60) == 0
    assert Run(Path(os.environ["LM_RUNS"]) / "unheard").state() == "finished"


@pytest.mark.slow
def test_training_works_with_the_entry_point_as_a_module(text_file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "runs", "--json"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0
    assert json.loads(done.stdout) == []


def test_lr_find_answers_with_a_rate_it_tried(lm: Lm, text_file: Path) -> None:
    answer = lm("lr-find", "--data", str(text_file), "--steps", "30", "--json", *TINY)
    found = json.loads(answer.out)
    assert found["suggestion"] in found["rates"]
    assert len(found["rates"]) == len(found["losses"])
    assert not Path(os.environ["LM_RUNS"]).exists()


@pytest.mark.slow
def test_control_and_watch_reach_a_running_training(lm: Lm, text_file: Path) -> None:
    with start_lm("train", "--run", "live", "--data", str(text_file), "--max-steps", "1000000", *TINY) as process:
        wait_for_step(process, 5)
        with start_lm("watch", "live") as watcher:
            try:
                assert watcher.stdout is not None
                assert watcher.stdout.readline() == "live is running\n"
                steer(lm)
                watched = watcher.stdout.read()
            finally:
                watcher.kill()
                process.kill()
    assert "finished at step" in watched.splitlines()[-1]
    assert "pause done" in watched
    assert lm("control", "live", "pause").code == 2
    assert lm("watch", "live").out.startswith("live is stopped")


def steer(lm: Lm) -> None:
    """Every request to the running training `live`, and what must not be done to it; the last one ends it."""
    assert json.loads(lm("control", "live", "pause", "--json").out)["state"] == "done"
    assert "live is paused" in lm("watch", "live", "--once").out
    assert lm("control", "live", "pause").code == 1
    assert "live: checkpoint done" in lm("control", "live", "checkpoint").out
    assert "still training" in lm("runs", "rm", "live", "--yes").err
    assert "still training" in lm("train", "--resume", "live").err
    assert "resume done" in lm("control", "live", "resume").out
    assert "stop done" in lm("control", "live", "stop").out


def wait_for_step(process: subprocess.Popen[str], step: int) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"step {step}/"):
            return
    pytest.fail(f"the training ended before step {step}")


def in_terminal(*arguments: str, columns: int) -> str:
    """What `lm` writes to a terminal of that width."""
    import pty

    main, side = pty.openpty()
    process = start_process(side, arguments, columns)
    os.close(side)
    output = b""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            chunk = os.read(main, 65536)
        except OSError:  # Linux says EIO when the other side has closed
            break
        if not chunk:
            break
        output += chunk
    os.close(main)
    assert process.wait(timeout=10) == 0
    return output.decode().replace("\r\n", "\n")


def start_process(side: int, arguments: tuple[str, ...], columns: int) -> subprocess.Popen[bytes]:
    house = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": str(house), "OMP_NUM_THREADS": "1", "COLUMNS": str(columns), "TERM": "xterm"}
    return subprocess.Popen(
        [sys.executable, "-c", "import cli; cli.main()", *arguments], stdin=side, stdout=side, stderr=side, env=env
    )


@pytest.mark.slow
def test_generate_reads_stdin(runs: Path) -> None:
    with start_lm("generate", "-", "--run", "tiny", "--max-new-tokens", "3", stdin=subprocess.PIPE) as process:
        out, err = process.communicate("9 green\n", timeout=60)
    assert process.returncode == 0, err
    assert out.startswith("9 green")


@pytest.mark.slow
def test_a_pipe_that_closes_is_no_error(runs: Path) -> None:
    with start_lm("generate", "9", "--run", "tiny", "--max-new-tokens", "2000") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        said = process.stderr.read().splitlines()
        assert len(said) == 1
        assert said[0].startswith("Generating with tiny")
        assert process.wait(timeout=60) == 0


def test_version_is_said_by_a_real_process() -> None:
    answer = run_lm("--version")
    assert answer.code == 0
    assert answer.out.startswith("lm ")
