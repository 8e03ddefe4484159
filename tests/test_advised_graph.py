"""Training over the graph, advised by each backend, by a server that misbehaves, and by an advisor that dies."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from varl_vlm_advisor.testing.server import BEHAVIOURS, Call, Handler, Server
from varl_vlm_advisor.testing.tiny_vlm import make_tiny_vlm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def advisor(processes: Any, tmp_path: Path, backend: str, **parameters: Any) -> Any:
    given = {"cache.folder": tmp_path / "cache", "run_dir": tmp_path / "run", **parameters}
    return processes.node("varl_vlm_advisor", "advisor", ("advisor.yaml",), backend=backend, **given)


def by(server: Server) -> dict[str, Any]:
    return {"openai.base_url": server.url, "openai.model": "m", "retry.backoff": 0.05}


def train(processes: Any, tmp_path: Path, backend: str, **parameters: Any) -> dict[str, Any]:
    """The summary of a run that ended well."""
    learner = processes.learner(tmp_path / "run", 220, advisor=backend, **parameters)
    assert learner.wait(110) == 0, learner.output
    assert "Traceback" not in learner.output
    summary: dict[str, Any] = json.loads((tmp_path / "run" / "summary.json").read_text())
    return summary


def test_a_served_model_advises_and_its_answers_are_replayed(processes: Any, tmp_path: Path, server: Server) -> None:
    processes.robot()
    first = advisor(processes, tmp_path, "openai", **by(server))
    summary = train(processes, tmp_path, "openai")
    assert summary["queries"] == 2
    assert summary["advice_used"] > 0
    assert all(call.pictures == 1 for call in server.calls)
    assert json.loads((tmp_path / "run" / "advisor_spending.json").read_text())["calls"] == len(server.calls)
    first.signal(signal.SIGINT)
    assert first.wait(30) == 0

    calls = len(server.calls)
    (folder,) = (tmp_path / "cache").iterdir()
    (tmp_path / "again").mkdir()
    advisor(processes, tmp_path, "replay", **{"replay.folder": folder})
    again = train(processes, tmp_path / "again", "replay")
    assert len(server.calls) == calls
    assert again["advice_used"] == summary["advice_used"]  # lock-step: the same questions, so the same answers


def test_a_model_in_the_process_advises(processes: Any, tmp_path: Path) -> None:
    processes.robot()
    model = make_tiny_vlm(tmp_path / "tiny")
    settings = {"transformers.model": model, "transformers.max_tokens": 3000, "transformers.temperature": 1.0}
    advisor(processes, tmp_path, "transformers", **settings)
    summary = train(processes, tmp_path, "transformers", **{"advice.deadline": 60.0})
    assert summary["queries"] == 2  # what a random model says may be that it cannot tell


@pytest.mark.parametrize("behaviour", ["hang", "broken", "huge", "wrong_key", "drop"])
def test_training_goes_on_whatever_the_server_does(
    processes: Any, tmp_path: Path, server: Server, behaviour: str
) -> None:
    server.behaviour = behaviour
    processes.robot()
    node = advisor(processes, tmp_path, "openai", **by(server))
    summary = train(processes, tmp_path, "openai", **{"advice.deadline": 3.0})
    assert server.calls
    assert summary["advice_used"] == 0
    assert "no advice for" in node.output


def test_training_goes_on_with_a_server_that_does_it_all(
    processes: Any, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    manners = list(BEHAVIOURS)
    asked: dict[int, str] = {}  # by the question's id, each of which meets the next manner

    def behave(server: Server, handler: Handler, call: Call) -> None:
        BEHAVIOURS[asked.setdefault(call.asked_id, manners[len(asked) % len(manners)])](server, handler, call)

    monkeypatch.setitem(BEHAVIOURS, "all", behave)
    server.behaviour = "all"
    processes.robot()
    each = {"strategy": "direction", "votes": 1, "in_flight": 64, "breaker.failures": 1000}
    node = advisor(processes, tmp_path, "openai", **by(server), **each)
    summary = train(processes, tmp_path, "openai", **{"advice.deadline": 5.0, "advice.states_per_query": 40})
    assert set(asked.values()) == set(manners)
    assert summary["queries"] == 2
    assert summary["advice_used"] > 0
    assert "no advice for" in node.output
    assert "Traceback" not in node.output


def test_an_advisor_that_dies_is_used_again_when_it_is_back(processes: Any, tmp_path: Path, server: Server) -> None:
    processes.robot()
    node = advisor(processes, tmp_path, "openai", **by(server))
    later = {"advice.trigger": [80, 1500], "sac.utd": 0.2, "checkpoint_every": 1000, "evaluate_every": 5000}
    learner = processes.learner(tmp_path / "run", 1600, advisor="openai", **later)
    end = time.monotonic() + 60
    while not server.calls:
        assert time.monotonic() < end, learner.output
        time.sleep(0.05)
    node.signal(signal.SIGKILL)
    node.wait(5)
    calls = len(server.calls)
    advisor(processes, tmp_path, "openai", **by(server))
    assert learner.wait(200) == 0, learner.output
    assert len(server.calls) > calls
