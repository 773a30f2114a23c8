"""The event file under everything that can happen to it: threads, kills, torn lines, a full disk."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmcore.errors import LmError
from lmcore.runs import EventTail, EventWriter

ROOT = Path(__file__).resolve().parents[2]
# The files of one test are written anew for each example.
EACH_EXAMPLE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


# Also what looks like an event, but does not say at which step it happened.
RUBBISH = [
    b"[1]", b"{}", b'{"kind": 3}', b"[" * 100_000, b'{"kind":',
    b'{"kind": "train", "loss": 3.0}', b'{"kind": "eval", "step": "x"}', b'{"kind": "sample", "step": NaN}',
]  # fmt: skip


def without_nonfinite(value: object) -> object:
    if isinstance(value, dict):
        return {key: without_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nonfinite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


@EACH_EXAMPLE
@given(fields=st.lists(values, max_size=5))
def test_what_is_written_is_read_and_every_line_is_strict_json(tmp_path: Path, fields: list[object]) -> None:
    path = tmp_path / "events.jsonl"
    path.unlink(missing_ok=True)
    writer = EventWriter(path)
    for field in fields:
        writer.write("train", step=1, field=field)
    writer.close()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    lines = path.read_bytes().splitlines() if fields else []
    assert [json.loads(line, parse_constant=refuse)["field"] for line in lines] == [
        without_nonfinite(field) for field in fields
    ]
    assert [event["field"] for event in EventTail(path).poll()] == [without_nonfinite(field) for field in fields]


def test_numpy_scalars_and_paths_are_plain_values(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventWriter(path).write(
        "train",
        step=1,
        loss=np.float32(1.5),
        steps=np.int64(3),
        bad=np.float32("nan"),
        ids=np.arange(2),
        path=Path("a/b"),
    )
    (event,) = EventTail(path).poll()
    assert (event["loss"], event["steps"], event["bad"], event["ids"], event["path"]) == (1.5, 3, None, [0, 1], "a/b")


def test_a_file_cut_at_any_byte_reads_as_a_prefix_and_goes_on(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    writer = EventWriter(whole)
    for step in range(4):
        writer.write("sample", step=step, text="é\n\"{'")
    data = whole.read_bytes()
    events = EventTail(whole).poll()
    cut = tmp_path / "cut.jsonl"
    for length in range(len(data) + 1):
        cut.write_bytes(data[:length])
        tail = EventTail(cut)
        before = tail.poll()
        assert before == events[: len(before)]
        assert len(before) == data[:length].count(b"\n")
        with cut.open("ab") as file:
            file.write(data[length:])
        assert before + tail.poll() == events
        assert tail.skipped == 0


def test_a_new_writer_does_not_join_its_first_line_to_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventWriter(path).write("start", step=0)
    data = path.read_bytes()
    path.write_bytes(data + data[:-7])
    EventWriter(path).write("start", step=1)
    tail = EventTail(path)
    assert [event["step"] for event in tail.poll()] == [0, 1]
    assert tail.skipped == 1


@EACH_EXAMPLE
@given(rubbish=st.lists(st.binary(max_size=20) | st.sampled_from(RUBBISH)))
def test_rubbish_between_events_is_skipped_and_counted(tmp_path: Path, rubbish: list[bytes]) -> None:
    path = tmp_path / "events.jsonl"
    lines = [line for item in rubbish for line in item.replace(b"\n", b"").split(b"\n") if line]
    path.write_bytes(b"\n".join([b'{"kind": "start"}', *lines, b'{"kind": "new kind", "new field": NaN}', b""]))
    tail = EventTail(path)
    assert tail.poll() == [{"kind": "start"}, {"kind": "new kind", "new field": None}]
    assert tail.skipped == len(lines)


@EACH_EXAMPLE
@given(sizes=st.lists(st.integers(0, 300), max_size=12), limit=st.integers(1, 200))
def test_polling_in_small_bites_loses_nothing(tmp_path: Path, sizes: list[int], limit: int) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps({"kind": "x", "text": "a" * size}) + "\n" for size in sizes))
    tail = EventTail(path)
    bites = [tail.poll(limit) for _ in range(path.stat().st_size // limit + 1)]
    assert [len(event["text"]) for bite in bites for event in bite] == sizes


def test_no_file_yet_then_truncated_then_replaced(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = EventTail(path)
    assert tail.poll() == []
    path.write_text('{"kind": "a"}\n{"kind": "b"}\n')
    assert [event["kind"] for event in tail.poll()] == ["a", "b"]
    path.write_text('{"kind": "c"}\n')
    assert [event["kind"] for event in tail.poll()] == ["c"]
    other = tmp_path / "other"
    other.write_text('{"kind": "d"}\n{"kind": "e"}\n{"kind": "f"}\n')
    other.replace(path)
    assert [event["kind"] for event in tail.poll()] == ["d", "e", "f"]
    assert tail.resets == 2


def test_threads_and_writers_never_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writers = [EventWriter(path), EventWriter(path)]

    def work(writer: EventWriter, who: int) -> None:
        for number in range(50):
            writer.write("train", step=number, who=who, number=number, filler="x" * 5000)

    threads = [threading.Thread(target=work, args=(writers[who % 2], who)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tail = EventTail(path)
    events = tail.poll()
    assert tail.skipped == 0
    for who in range(4):
        assert [event["number"] for event in events if event["who"] == who] == list(range(50))


def test_a_writer_killed_at_any_moment_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    code = f"""
from pathlib import Path
from lmcore.runs import EventWriter
writer = EventWriter(Path({str(path)!r}))
step = 0
while True:
    writer.write("train", step=step, filler="x" * 3000)
    step += 1
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    tail = EventTail(path)
    seen: list[dict[str, Any]] = []
    while len(seen) < 20:
        assert process.poll() is None
        seen += tail.poll()
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen += tail.poll()
    assert [event["step"] for event in seen] == list(range(len(seen)))
    assert EventWriter(path).write("start", step=-1)["kind"] == "start"
    assert tail.poll()[-1]["step"] == -1


def test_a_full_disk_is_said_and_what_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path)
    writer.write("start")
    write = os.write
    left = 10

    def full(fd: int, data: bytes) -> int:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(fd, data[:left])
        left -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(LmError, match=r"The disk is full.*Free some space"):
            writer.write("train", step=1)
    writer.write("train", step=2)
    tail = EventTail(path)
    assert [event.get("step") for event in tail.poll()] == [None, 2]
    assert tail.skipped == 1


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(LmError, match=r"could not be written.*Check"):
        EventWriter(tmp_path / "none" / "events.jsonl").write("start")


def test_heartbeat_and_finish_say_where_their_start_stands(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for session in range(2):
        writer = EventWriter(path)
        writer.write("start", session=session)
        writer.write("train", step=1)
        at = [writer.write("heartbeat", step=1)["start_at"], writer.write("finish", step=1)["start_at"]]
        assert at[0] == at[1]
        assert json.loads(path.read_bytes()[at[0] :].splitlines()[0])["session"] == session
        writer.close()
