"""Whatever is wrong with a command: two sentences on stderr, the right exit code, nothing on stdout, no traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.conftest import Answer, run_lm

Lm = Callable[..., Answer]

USAGE = [
    (["trian"], "has no command 'trian'", "Did you mean 'train'?"),
    (["runs", "lst"], "has no command 'lst'", "Did you mean 'list'?"),
    (["train", "--presett", "quick"], "has no option '--presett'", "Did you mean '--preset'?"),
    (["train", "--learning-rate", "1"], "has no option '--learning-rate'", "Did you mean '--set optimizer.lr=VALUE'?"),
    (["train", "--epochs=3"], "has no option '--epochs'", "Did you mean '--set training.epochs=VALUE'?"),
    (["train", "--steps", "3"], "has no option '--steps'", "Did you mean '--max-steps'?"),
    (["train", "--dataset", "x"], "has no option '--dataset'", "Did you mean '--data'?"),
    (["train", "--name", "x"], "has no option '--name'", "Did you mean '--run'?"),
    (["train", "--out", "x"], "has no option '--out'", "See `lm train --help`."),
    (["compare", "a", "--out", "x"], "has no option '--out'", "See `lm compare --help`."),
    (["lr-find", "--wd", "1"], "has no option '--wd'", "Did you mean '--set optimizer.weight_decay=VALUE'?"),
    (["generate", "x", "--temp", "1"], "has no option '--temp'", "Did you mean '--temperature'?"),
    (["generate", "x", "--max-tokens", "9"], "has no option '--max-tokens'", "Did you mean '--max-new-tokens'?"),
    (["generate", "x", "--lr", "1"], "has no option '--lr'", "See `lm generate --help`."),
    (["generate", "--prompt", "x"], "has no option '--prompt'", "write `lm generate PROMPT`"),
    (["watch", "x", "--json"], "has no option '--json'", "See `lm watch --help`."),
    (["evaluate"], "has no command 'evaluate'", "Did you mean 'eval'?"),
    (["resume", "x"], "has no command 'resume'", "Did you mean 'train --resume RUN'?"),
    (["runs", "delete", "x"], "has no command 'delete'", "Did you mean 'rm'?"),
    (["gpu"], "has no command 'gpu'", "See `lm --help`."),
    (["train", "--set", "learning_rate=1"], "no setting 'learning_rate'", "Did you mean 'optimizer.lr'?"),
    (["train", "--set", "model.colour=1"], "no setting 'model.colour'", "lists every setting"),
    (["generate"], "needs PROMPT", "--help"),
    (["eval"], "needs RUN", "--help"),
    (["runs", "rename", "a"], "needs NEW", "--help"),
    (["generate", "x", "--run"], "--run", "--help"),
    (["train", "--preset", "quikc"], "no preset 'quikc'", "Did you mean 'quick'?"),
    (["presets", "show", "exp13x"], "no preset 'exp13x'", "Did you mean 'exp"),
    (["train", "--set", "model.n_layr=3"], "no setting 'model.n_layr'", "Did you mean 'model.n_layer'?"),
    (["train", "--set", "n_layer"], "'n_layer' is not a setting", "section.key=value"),
    (["train", "--set", "model.block_size=0"], "model.block_size = 0", "BPTT"),
    (["train", "--set", "model.dropout=1.5"], "model.dropout = 1.5", "Dropout"),
    (
        ["train", "--set", "model.n_embd=30", "--set", "model.n_head=4"],
        "n_embd 30 is not a multiple of n_head 4",
        "Change",
    ),
    (["train", "--set", "model.norm=batchnorm"], "BatchNorm", "layernorm"),
    (["train", "--device", "tpu"], "training.device = 'tpu'", "auto, cpu, cuda"),
    (["train", "--max-steps", "0"], "--max-steps", "--help"),
    (["train", "--max-minutes", "-1"], "--max-minutes", "--help"),
    (["train", "--data", "no-such-corpus"], "no corpus or file 'no-such-corpus'", "lm data list"),
    (["train", "--data", "python-dosc"], "no corpus or file 'python-dosc'", "Did you mean 'python-docs'?"),
    (["train", "--run", "../up"], "'../up' is not a valid run name", "letters"),
    (["train", "--run", "a/b"], "'a/b' is not a valid run name", "letters"),
    (["train", "--run", ".."], "'..' is not a valid run name", "letters"),
    (["train", "--resume", "nobody"], "no run 'nobody'", "lm train"),
    (["train", "--resume", "x", "--preset", "quick"], "--preset cannot be combined with --resume", "Leave it out"),
    (["generate", "x", "--temperature", "-1"], "--temperature = -1.0", "--greedy"),
    (["generate", "x", "--temperature", "0"], "--temperature = 0.0", "--greedy"),
    (["generate", "x", "--temperature", "hot"], "--temperature = 'hot'", "--greedy"),
    (["generate", "x", "--temperature", "off"], "--temperature cannot be switched off", "--greedy"),
    (["generate", "x", "--temperature", "nan"], "--temperature", "--greedy"),
    (["generate", "x", "--top-k", "-1"], "--top-k = -1", "most likely"),
    (["generate", "x", "--top-k", "some"], "--top-k = 'some'", "most likely"),
    (["generate", "x", "--top-p", "-1"], "--top-p = -1.0", "probabilities"),
    (["generate", "x", "--top-p", "1.1"], "--top-p = 1.1", "probabilities"),
    (["generate", "x", "--min-p", "-0.1"], "--min-p = -0.1", "fraction"),
    (["generate", "x", "--repetition-penalty", "-1"], "--repetition-penalty = -1.0", "less likely"),
    (["generate", "x", "--no-repeat-ngram", "-1"], "--no-repeat-ngram = -1", "n-gram"),
    (["generate", "x", "--max-new-tokens", "-1"], "--max-new-tokens = -1", "tokens"),
    (["generate", "x", "--max-new-words", "0", "--max-new-tokens", "off"], "never end", "Change one"),
    (["compare", "x", "--top-k", "3"], "--top-k has no effect without --prompt", "Add --prompt"),
    (["generate", "x", "--num-samples", "0"], "--num-samples", "--help"),
    (["generate", "x", "--seed", "-1"], "--seed = -1", "same seed"),
    (["generate", "x", "--topk", "3"], "has no option '--topk'", "Did you mean '--top-k'?"),
    (["generate", "x"], "no trained run", "lm train"),
    (["generate", "x", "--run", "nobody"], "no run 'nobody'", "lm train"),
    (["generate", "x", "--device", "gpu9"], "training.device = 'gpu9'", "auto, cpu, cuda"),
    (["eval", "nobody"], "no run 'nobody'", "lm train"),
    (["eval", "nobody", "--split", "tset"], "no split 'tset'", "Did you mean 'test'?"),
    (["compare", "nobody"], "no run 'nobody'", "lm train"),
    (["compare", "exp1..exp3"], "No run matches exp1..exp3", "lm runs"),
    (["compare", "exp3..exp1"], "'exp3..exp1' is not a range", "lower number first"),
    (["compare", "x", "--x", "hours"], "no axis 'hours'", "time"),
    (["control", "nobody", "pause"], "no run 'nobody'", "lm train"),
    (["watch", "nobody"], "no run 'nobody'", "lm train"),
    (["tui"], "needs a terminal", "lm watch"),
    (["data", "show", "nothing-here"], "no corpus or file", "lm data list"),
    (["data", "fetch", "emma-bovary"], "cannot be downloaded", "wikitext-2"),
    (["data", "add", "a/b", "."], "is not a valid corpus name", "letters"),
]


@pytest.mark.parametrize(("arguments", "wrong", "todo"), USAGE, ids=[" ".join(arguments) for arguments, _, _ in USAGE])
def test_usage_errors(lm: Lm, arguments: list[str], wrong: str, todo: str) -> None:
    answer = lm(*arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert wrong in answer.err
    assert todo in answer.err
    assert "Traceback" not in answer.err
    assert len(answer.err.strip().splitlines()) <= 2
    assert not Path(os.environ["LM_RUNS"]).exists()


FILES = {
    "missing": (None, 2, "no corpus or file"),
    "empty": (b"", 1, "empty"),
    "binary": (bytes(range(256)) * 20, 1, "UTF-8"),
    "latin-1": ("café au lait\n".encode("latin-1") * 50, 1, "UTF-8"),
    "one character": (b"a", 1, "nothing to predict"),
    "shorter than a window": (b"hello, hello\n" * 5, 2, "model.block_size"),
}


@pytest.mark.parametrize("kind", FILES)
def test_bad_files_leave_no_run(lm: Lm, tmp_path: Path, kind: str) -> None:
    content, code, wrong = FILES[kind]
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    answer = lm("train", "--data", str(path), "--set", "tokenizer.kind=char", "--run", "mine", "--max-steps", "2")
    assert answer.code == code
    assert wrong in answer.err
    assert "Traceback" not in answer.err
    assert not (Path(os.environ["LM_RUNS"]) / "mine").exists()


def test_a_run_already_there_is_kept(lm: Lm, runs: Path) -> None:
    before = sorted(path.name for path in (runs / "tiny").iterdir())
    answer = lm("train", "--run", "tiny", "--max-steps", "2")
    assert answer.code == 2
    assert "already a run 'tiny'" in answer.err
    assert "--resume tiny" in answer.err
    assert sorted(path.name for path in (runs / "tiny").iterdir()) == before


def test_a_device_that_is_not_there_leaves_no_run(lm: Lm, text_file: Path) -> None:
    answer = lm(
        "train",
        "--data",
        str(text_file),
        "--set",
        "tokenizer.kind=char",
        "--run",
        "mine",
        "--max-steps",
        "2",
        "--device",
        "cuda:99",
    )
    assert answer.code == 2
    assert "The device 'cuda:99' is not available" in answer.err
    assert not (Path(os.environ["LM_RUNS"]) / "mine").exists()


def test_a_pretrained_table_out_of_reach_offers_a_random_one(lm: Lm, text_file: Path) -> None:
    settings = (
        "--set",
        "tokenizer.kind=char",
        "--set",
        "model.embedding=openai-gpt",
        "--set",
        "model.freeze_embedding=true",
    )
    answer = lm("train", "--data", str(text_file), "--run", "mine", "--max-steps", "2", *settings)
    assert answer.code == 1
    assert "model.embedding=random" in answer.err
    assert "model.freeze_embedding=false" in answer.err
    assert not (Path(os.environ["LM_RUNS"]) / "mine").exists()


def test_debug_shows_the_traceback_wherever_it_stands(lm: Lm) -> None:
    for arguments in (["--debug", "runs", "show", "nobody"], ["runs", "show", "nobody", "--debug"]):
        answer = lm(*arguments)
        assert answer.code == 2
        assert "Traceback" in answer.err


def test_debug_after_two_dashes_is_a_prompt(lm: Lm) -> None:
    answer = lm("generate", "--run", "nobody", "--", "--debug")
    assert "Traceback" not in answer.err
    assert "no run 'nobody'" in answer.err


@pytest.mark.parametrize(
    "arguments", [["presets", "show"], ["runs", "show"], ["train", "--data"], ["train", "--set"], ["eval"]]
)
def test_what_was_typed_is_said_back_without_its_control_characters(lm: Lm, arguments: list[str]) -> None:
    answer = lm(*arguments, "\x1b[2J\u202ex")
    assert answer.code == 2
    assert "\x1b" not in answer.err
    assert "\u202e" not in answer.err


@pytest.mark.parametrize(
    "words",
    [
        "train --verbose",
        "train --colour",
        "compare a --file x",
        "generate x --verbose",
        "eval x --out y",
        "runs publish",
        "data get x",
        "publish",
    ],
)
def test_what_is_near_to_nothing_gets_no_name(lm: Lm, words: str) -> None:
    answer = lm(*words.split())
    assert answer.code == 2
    assert "Did you mean" not in answer.err
    assert "--help" in answer.err


def test_a_bug_is_said_plainly(lm: Lm, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("lmcore.presets.list_presets", broken)
    answer = lm("presets", "list")
    assert answer.code == 1
    assert answer.err.startswith("error: Unexpected error: ZeroDivisionError: a bug.\n")
    assert "--debug" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("error", "wrong", "todo"),
    [
        (MemoryError(), "Out of memory", "training.batch_size"),
        (OSError(28, "No space left on device", "/data/file"), "disk is full", "--resume"),
        (PermissionError(13, "Permission denied", "/data/file"), "Permission denied (/data/file).", "LM_RUNS"),
        (FileNotFoundError(2, "No such file or directory", "/data/file"), "directory (/data/file).", "Check that"),
        (OSError("odd"), "odd.", "Check that"),
    ],
)
def test_the_machine_says_no(lm: Lm, monkeypatch: pytest.MonkeyPatch, error: Exception, wrong: str, todo: str) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("lmcore.presets.list_presets", fail)
    answer = lm("presets", "list")
    assert answer.code == 1
    assert wrong in answer.err
    assert todo in answer.err


@pytest.mark.skipif(sys.platform == "win32", reason="bytes in arguments are a POSIX matter")
def test_a_prompt_that_is_not_utf8(runs: Path) -> None:
    process_answer = run_lm("generate", os.fsdecode(b"caf\xe9"), "--run", "tiny")
    assert process_answer.code == 2
    assert "not UTF-8" in process_answer.err
