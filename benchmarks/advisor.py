"""What the advisor costs beside its model: writes benchmarks/results/advisor.json.

- overhead_cpu_ms: processor time that the advisor's process spends on a state with its 640x480 frame, all in all;
  roundtrip_*_ms: from GetAdvice with one state to the response, the time of a loopback server that "answers at once"
  included; roundtrip_of_64_ms: the same per state of a request with 64;
- trigger_delay_*_ms: how long a Trigger on the advisor's node takes while 64 states are in flight, and while idle;
- answer_late_max_ms: how long after its deadline a request is answered, at the worst, over all that the server of the
  tests can do: hang, drop, drip, fail, and say anything;
- encoding: closed-loop success of Meta-World's experts, as they are and with each action put into the words of an
  answer and back.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import rclpy  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402
from varl_common.host.domain import free_domain, one_host  # noqa: E402
from varl_common.host.progress import progress  # noqa: E402
from varl_common.ros.messages import to_description_msg  # noqa: E402
from varl_vlm_advisor.evaluation.worlds import make_world  # noqa: E402
from varl_vlm_advisor.question.action_words import decode, encode  # noqa: E402
from varl_vlm_advisor.testing.server import BEHAVIOURS, Server  # noqa: E402

from varl_interfaces import msg  # noqa: E402
from varl_interfaces.srv import GetAdvice  # noqa: E402

TASKS = ("reach-v3", "push-v3", "pick-place-v3", "drawer-open-v3", "button-press-topdown-v3", "coffee-button-v3")
EXPERT_STEPS = 300  # the slowest of these experts needs about 120
STATES = 64
DEADLINE = 1.0  # s
NODE = """
import std_srvs.srv, varl_vlm_advisor.nodes.advisor as advisor
class Probed(advisor.AdvisorNode):
    def __init__(self):
        super().__init__()
        self.create_service(std_srvs.srv.Trigger, "~/probe", lambda request, response: response)
advisor.AdvisorNode = Probed
advisor.main()
"""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100, help="single states asked about")
    parser.add_argument("--episodes", type=int, default=50, help="of each task, with and without the encoding")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "benchmarks" / "results" / "advisor.json")
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    results["load"] = os.getloadavg()[0]  # other work's: what delays there are, are the scheduler's too
    with free_domain() as domain:
        profile = REPOSITORY / "config/dds/one_host.xml"
        os.environ |= one_host(profile, os.environ.get("ROS_DISTRO")) | {"ROS_DOMAIN_ID": str(domain)}
        rclpy.init(domain_id=domain)
        with serve("good") as url, advisor_node(url) as (node, process):
            results |= overhead(node, process, options.requests)
        with serve("slow") as url, advisor_node(url) as (node, _):
            results |= trigger_delay(node)
        with Server() as server, advisor_node(server.url) as (node, _):
            results |= lateness(node, server)
        rclpy.shutdown()
    results |= encoding(options.episodes)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


@contextmanager
def serve(behaviour: str) -> Iterator[str]:
    """A server as a process of its own; its URL."""
    command = [sys.executable, "-m", "varl_vlm_advisor.testing.server", behaviour]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().split()[2]  # "answers at URL"
    finally:
        server.terminate()
        server.wait(10)


@contextmanager
def advisor_node(url: str) -> Iterator[tuple[Node, int]]:
    """The advisor as a process that asks a server, a node to call it from, and its process."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"backend": "openai", "in_flight": STATES, "openai.base_url": url, "openai.model": "m"}
        settings |= {"strategy": "direction", "votes": 1}  # each state a question, with a picture of its own
        settings |= {"breaker.failures": 10_000, "openai.api_key_env": ""}
        settings |= {"cache.mode": "record", "cache.folder": folder, "run_dir": folder}
        words = [word for name, value in settings.items() for word in ("-p", f"{name}:={json.dumps(value)}")]
        process = subprocess.Popen([sys.executable, "-c", NODE, "--ros-args", *words])
        node = rclpy.create_node("benchmark")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        spinning = threading.Thread(target=executor.spin, daemon=True)
        spinning.start()
        try:
            yield node, process.pid
        finally:
            executor.shutdown()
            spinning.join(5)
            node.destroy_node()
            process.terminate()
            process.wait(10)


def overhead(node: Node, process: int, requests: int) -> dict[str, Any]:
    """Time of requests whose model takes next to none."""
    client = node.create_client(GetAdvice, "advisor/get_advice")
    call(client, request(1, 999_999))  # connections, imports
    times = []
    spent = processor_ms(process)
    for number in progress(range(requests), "requests", requests):
        question = request(1, number)
        start = time.perf_counter()
        call(client, question)
        times.append(1000 * (time.perf_counter() - start))
    question = request(STATES, requests)
    start = time.perf_counter()
    call(client, question)
    together = 1000 * (time.perf_counter() - start) / STATES
    cpu = (processor_ms(process) - spent) / (requests + STATES)
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "overhead_cpu_ms": cpu,
        "roundtrip_p50_ms": p50,
        "roundtrip_p99_ms": p99,
        "roundtrip_of_64_ms": together,
    }


def processor_ms(process: int) -> float:
    """User and system time that a process has had."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def trigger_delay(node: Node) -> dict[str, Any]:
    """Time of a Trigger while nothing is asked, and while a slow model is asked about 64 states."""
    probe = node.create_client(Trigger, "advisor/probe")
    advice = node.create_client(GetAdvice, "advisor/get_advice")
    idle = probes(probe, lambda count: count >= 200)
    worst: list[float] = []
    for number in range(5):
        pending = advice.call_async(request(STATES, 10_000 + STATES * number))
        worst += probes(probe, lambda count, pending=pending: pending.done())
        unanswered = [item.reason for item in pending.result().advice if item.status != msg.Advice.OK]
        if unanswered:
            raise SystemExit(f"error: {len(unanswered)} of {STATES} states had no answer: {unanswered[0]}")
    return {
        "trigger_idle_p50_ms": float(np.percentile(idle, 50)),
        "trigger_idle_p99_ms": float(np.percentile(idle, 99)),
        "trigger_delay_p50_ms": float(np.percentile(worst, 50)),
        "trigger_delay_p99_ms": float(np.percentile(worst, 99)),
        "trigger_delay_max_ms": max(worst),
    }


def lateness(node: Node, server: Server) -> dict[str, Any]:
    """What is left of the deadline's promise when the server misbehaves."""
    client = node.create_client(GetAdvice, "advisor/get_advice")
    call(client, request(1, 999_999))  # connections, imports
    late: dict[str, float] = {}
    for number, behaviour in enumerate(BEHAVIOURS):
        server.behaviour = behaviour
        question = request(3, 20_000 + 3 * number)
        question.deadline = DEADLINE
        start = time.perf_counter()
        answers = call(client, question).advice
        late[behaviour] = 1000 * (time.perf_counter() - start - DEADLINE)
        assert len(answers) == 3
        assert all((item.status == msg.Advice.OK) == bool(item.action) for item in answers)
    worst = max(late, key=lambda behaviour: late[behaviour])
    return {"answer_late_max_ms": late[worst], "answer_late_worst": worst, "behaviours": len(late)}


def probes(client: Any, enough: Any) -> list[float]:
    """Times of one Trigger after the other, ms, until ``enough`` of their number."""
    times: list[float] = []
    while not enough(len(times)):
        start = time.perf_counter()
        call(client, Trigger.Request())
        times.append(1000 * (time.perf_counter() - start))
        time.sleep(0.005)
    return times


def call(client: Any, question: Any) -> Any:
    """A service's response."""
    if not client.wait_for_service(20.0):
        raise SystemExit("error: the advisor's node does not come up")
    done = threading.Event()
    future = client.call_async(question)
    future.add_done_callback(lambda _: done.set())
    if not done.wait(60.0):
        raise SystemExit("error: the advisor's node does not answer")
    return future.result()


def request(count: int, first: int) -> GetAdvice.Request:
    """``count`` states of Meta-World's drawer with a picture each, all different."""
    if not hasattr(request, "parts"):
        world = make_world("drawer-open-v3")
        request.parts = (world.env, world.reset(0), world.frame())  # type: ignore[attr-defined]
        world.close()
    env, state, frame = request.parts  # type: ignore[attr-defined]
    message = GetAdvice.Request(env=to_description_msg(env), deadline=30.0)
    for number in range(first, first + count):
        moved = state.copy()
        moved[0] += 1e-4 * number
        item = msg.AdviceState(id=number, state=moved.tolist(), next_state=moved.tolist(), action=[0.0] * 4)
        picture = msg.Frame(camera=frame.camera, k=frame.k.ravel())
        picture.image.data.frombytes(frame.jpeg)
        item.frames.append(picture)
        message.states.append(item)
    return message


def encoding(episodes: int) -> dict[str, Any]:
    """Success of the experts, as they are and in words."""
    success: dict[str, list[float]] = {}
    for task in TASKS:
        world = make_world(task)
        names = world.env.action_names
        plain = sum(solves(world, seed, lambda action: action) for seed in progress(range(episodes), task, episodes))
        worded = sum(
            solves(world, seed, lambda a, names=names: decode(encode(a, names), names))
            for seed in progress(range(episodes), f"{task}, in words", episodes)
        )
        success[task] = [plain / episodes, worded / episodes]
        print(task, success[task], file=sys.stderr, flush=True)
    plain_mean, worded_mean = np.mean(list(success.values()), axis=0)
    return {"encoding_success": success, "encoding_kept": worded_mean / plain_mean, "encoding_episodes": episodes}


def solves(world: Any, seed: int, through: Any) -> bool:
    """Whether the expert, its actions passed ``through``, solves the episode."""
    state = world.reset(seed)
    for _ in range(EXPERT_STEPS):
        state, _, solved = world.step(through(world.expert(state)))
        if solved:
            return True
    return False


if __name__ == "__main__":
    main()
