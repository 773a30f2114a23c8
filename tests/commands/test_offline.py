"""Without a network: a sentence with the command that works, and that command working."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lmcore.config import Config
from lmcore.data import load_data
from lmcore.offline import without_network
from lmcore.presets import list_presets, load_preset
from lmcore.runs import Run
from tests.commands.conftest import HOUSE, LM_CODE, TINY, start_lm

# Nothing listens there, and every client of HTTP takes it for the way out.
NO_WAY_OUT = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


def no_network() -> list[str]:
    """A prefix that starts a process without any network, where the system allows that."""
    prefix = ["unshare", "--map-root-user", "--net"]
    works = (
        shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    )
    return prefix if works else []


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, without `$LM_DATA`, with empty caches."""
    for name in ("LM_DATA", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name, value in NO_WAY_OUT.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_without_a_network_the_error_names_the_command_that_works(bare: Path) -> None:
    process = start_lm("train", "--preset", "exp12", "--max-steps", "3", cwd=bare)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    problem, advice = err.strip().splitlines()[-2:]
    assert problem.startswith("error: wikitext-2-raw could not be downloaded (")
    assert "--preset exp12 --max-steps 3 --offline" in advice
    assert not (bare / "checkpoints").exists()


def test_offline_replaces_only_what_would_be_downloaded(bare: Path) -> None:
    changed = {}
    for preset in list_presets():
        if not preset.name.startswith("novel"):
            config, sentences = without_network(preset.config)
            changed[preset.name] = len(sentences)
            assert without_network(config) == (config, []), "nothing is left to replace"
            assert sentences or config == preset.config
    assert changed["quick"] == 0
    assert changed["char-shakespeare"] == changed["gpt2-dutch"] == 1
    assert changed["exp12"] == 3
    config, (corpus, tokenizer, embedding) = without_network(load_preset("exp12").config)
    assert "python-docs" in corpus
    assert "wikitext-2-raw" in corpus
    assert "40,479" in tokenizer
    assert "openai-community/openai-gpt" in embedding
    assert not config.model.freeze_embedding
    assert load_preset("exp12").config.model.freeze_positions
    assert not config.model.freeze_positions  # they stand in the same file as the tokens


def test_offline_keeps_what_is_here(lm_data: Path, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_DATA", str(lm_data))
    config, sentences = without_network(load_preset("exp12").config)
    assert config.data.corpus == "wikitext-2-raw"
    assert config.tokenizer.kind == "gpt1"
    assert [sentence for sentence in sentences if "embedding" not in sentence] == []
    # GPT-1's files beside token files count, wherever these are.
    monkeypatch.delenv("LM_DATA")
    by_path = load_preset("exp12").config.with_settings({"data.corpus": str(lm_data / "wikitext-2-gpt1")})
    config, sentences = without_network(by_path)
    assert (config.tokenizer, config.data) == (by_path.tokenizer, by_path.data)
    assert [sentence for sentence in sentences if "embedding" not in sentence] == []
    monkeypatch.setenv("LM_DATA", str(lm_data))
    config, sentences = without_network(load_preset("hw1-dot").config)
    assert (config, sentences) == (load_preset("hw1-dot").config, [])


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("embeddings.npz", True),
        ("table.safetensors", True),
        ("glove.6B.100d.txt", True),
        ("someone/downloaded", True),
        ("someone/model-1.5", False),
    ],
)
def test_offline_keeps_embeddings_that_are_files_or_in_the_cache_of_the_hub(
    bare: Path, monkeypatch: pytest.MonkeyPatch, source: str, kept: bool
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(bare / "hub"))
    repository = bare / "hub" / "models--someone--downloaded"
    (repository / "snapshots" / "1").mkdir(parents=True)
    (repository / "snapshots" / "1" / "model.safetensors").touch()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("1")
    config = load_preset("quick").config.with_settings({"model.embedding": source})
    assert without_network(config)[0].model.embedding == (source if kept else "random")


def test_offline_replaces_a_table_of_the_hub_but_not_a_file_of_ones_own(bare: Path) -> None:
    quick = load_preset("quick").config
    config, (sentence,) = without_network(quick.with_settings({"model.embedding": "some/model-v1.5"}))
    assert config.model.embedding == "random"
    assert "some/model-v1.5" in sentence
    for file in ("vectors.300d.txt", "table.npz", "missing.safetensors"):
        mine = quick.with_settings({"model.embedding": file})
        assert without_network(mine) == (mine, [])


def test_a_table_out_of_reach_names_the_command_that_works(
    lm_data: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LM_DATA", str(lm_data))
    process = start_lm("train", "--preset", "exp5", "--max-steps", "2", cwd=bare)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    problem, advice = err.strip().splitlines()[-2:]
    assert "'openai-community/openai-gpt' could not be downloaded from the Hugging Face Hub" in problem
    assert advice.startswith("`lm train --preset exp5 --max-steps 2 --offline` works without a network")


def test_without_the_hub_extra_the_error_says_how_to_install_it(
    tmp_path: Path, text_file: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow = tmp_path / "shadow" / "huggingface_hub"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ImportError")
    # GPT-1's tokenizer and its table both come from the Hub: the table does not fit what stands in for the tokenizer.
    process = start_lm(
        "train", "--preset", "exp1", "--data", str(text_file), "--max-steps", "1",
        cwd=bare, env={"PYTHONPATH": os.pathsep.join([str(shadow.parent), str(HOUSE)])},
    )  # fmt: skip
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    problem, advice = err.strip().splitlines()[-2:]
    assert "one row per token of GPT-1's tokenizer" in problem
    assert "pip install 'lm-tui[hub]'" in problem
    assert advice.startswith("`lm train --preset exp1 ")
    assert "--offline` works without a network" in advice


def test_lr_find_says_what_stands_in(text_file: Path, bare: Path) -> None:
    tiny = [setting for setting in TINY if "tokenizer" not in setting]
    process = start_lm(
        "lr-find", "--data", str(text_file), "--steps", "10", "--set", "tokenizer.kind=gpt2", *tiny, cwd=bare
    )
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "note: The tokenizer is a byte-level BPE" in err


def test_offline_never_opens_a_connection(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    for preset, corpus in (("quick", "python-docs"), ("exp12", "wikitext-2-raw"), ("quick", "wikitext-2-gpt1")):
        config, _ = without_network(load_preset(preset).config.with_settings({"data.corpus": corpus}))
        small: Config = config.with_settings({"tokenizer.vocab_size": 300})
        assert load_data(small).substitutions == []


def test_offline_and_resume_are_refused_together(bare: Path) -> None:
    process = start_lm("train", "--resume", "x", "--offline", cwd=bare)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--offline cannot be combined with --resume" in err


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_exp12_trains_in_an_empty_folder_without_a_network(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LM_RUNS")
    done = subprocess.run(
        [
            *no_network(),
            sys.executable,
            "-c",
            LM_CODE,
            "train",
            "--preset",
            "exp12",
            "--offline",
            "--max-steps",
            "3",
            "--json",
        ],
        capture_output=True,
        text=True,
        timeout=580,
        cwd=bare,
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["steps"] == 3
    assert 0 < summary["test_loss"] < 11
    announced = [line for line in done.stderr.splitlines() if "Offline: " in line]
    assert len(announced) == 3
    run = Run(bare / "checkpoints" / "exp12-1")
    recorded = [event["message"] for event in run.history().warnings if event["what"] == "substitution"]
    assert len(recorded) == 3
    assert all(any(sentence in line for line in announced) for sentence in recorded)
    assert run.config().data.corpus == "python-docs"


def test_a_tiny_run_offline_records_what_was_replaced(bare: Path) -> None:
    process = start_lm(
        "train", "--preset", "char-shakespeare", "--offline", "--run", "t", "--max-steps", "2", *TINY, cwd=bare
    )
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    (sentence,) = [line.removeprefix("warning: ") for line in err.splitlines() if "Offline: " in line]
    events = Run(Path(os.environ["LM_RUNS"]) / "t").history().warnings
    assert [event["message"] for event in events if event["what"] == "substitution"] == [sentence]


def test_data_rm_asks_and_spares_ones_own_files(bare: Path) -> None:
    (bare / "book.txt").write_text("some words here\n" * 50)
    for arguments, code, said in (
        (("data", "add", "mine", "book.txt"), 0, "--data mine"),
        (("data", "rm", "mine"), 0, "removed mine"),
        (("data", "rm", "mine"), 2, "no corpus 'mine'"),
        (("data", "rm", "tinyshakespeare"), 2, "has not been downloaded"),
    ):
        process = start_lm(*arguments, cwd=bare)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, said in err) == (code, True), err
    assert (bare / "book.txt").exists()
    download = Path(os.environ["LM_CACHE"]) / "corpora" / "tinyshakespeare.txt"
    download.parent.mkdir(parents=True)
    download.write_text("words\n")
    process = start_lm("data", "rm", "tinyshakespeare", cwd=bare, stdin=subprocess.DEVNULL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--yes" in err
    assert download.exists()
    process = start_lm("data", "rm", "tinyshakespeare", "--yes", cwd=bare)
    process.communicate(timeout=60)
    assert not download.exists()
