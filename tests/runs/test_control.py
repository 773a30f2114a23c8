"""Requests to a training, whoever writes them and when."""

from __future__ import annotations

from pathlib import Path

from lmcore.config import Config
from lmcore.runs import ControlReader, create_run, identity


def test_requests_arrive_once_in_order_with_their_ids() -> None:
    run = create_run("a", Config(), {})
    reader = ControlReader(run.control_path)
    run.events.write("start", **identity())
    assert reader.poll() == []
    ids = [run.request(action) for action in ("pause", "resume", "stop")]
    assert len(set(ids)) == 3
    assert [(request["id"], request["action"]) for request in reader.poll()] == list(
        zip(ids, ("pause", "resume", "stop"), strict=True)
    )
    assert reader.poll() == []


def test_requests_to_an_earlier_process_are_void() -> None:
    run = create_run("a", Config(), {})
    run.events.write("start", **identity())
    run.request("stop")
    reader = ControlReader(run.control_path)
    run.request("pause")
    assert [request["action"] for request in reader.poll()] == ["pause"]


def test_lines_that_are_no_requests_are_passed_over_and_unknown_actions_handed_on(tmp_path: Path) -> None:
    path = tmp_path / "control.jsonl"
    reader = ControlReader(path)
    path.write_text(
        'nonsense\n{"id": 3, "action": "stop"}\n{"id": "a"}\n{"id": "b", "action": "dance"}\n{"id": "c", "acti'
    )
    assert reader.poll() == [{"id": "b", "action": "dance"}]
