"""The node over DDS: GetAdvice as its clients see it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest

rclpy = pytest.importorskip("rclpy")
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.node import Node  # noqa: E402
from varl_common.env_description import EnvDescription  # noqa: E402
from varl_common.frame import Frame  # noqa: E402
from varl_common.image_codec import decode_image, encode_jpeg  # noqa: E402
from varl_common.ros.messages import to_description_msg, to_frame_msg  # noqa: E402
from varl_vlm_advisor.testing.tiny_vlm import make_tiny_vlm  # noqa: E402
from varl_vlm_advisor.types import State  # noqa: E402

from varl_interfaces import msg  # noqa: E402
from varl_interfaces.srv import GetAdvice, Point  # noqa: E402

NODE = "from varl_vlm_advisor.nodes.advisor import main; main()"
FUZZED = 10_000
CONFIG = Path(__file__).parents[4] / "config" / "advisor.yaml"


@pytest.fixture
def client(ros: int) -> Iterator[Node]:
    node = rclpy.create_node("client")
    yield node
    node.destroy_node()


@pytest.fixture
def start(domain: int) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the advisor's process with parameters ``name:=value``."""
    processes: list[subprocess.Popen[str]] = []

    def run(*parameters: str) -> subprocess.Popen[str]:
        arguments = [part for parameter in parameters for part in ("-p", parameter)]
        command = [sys.executable, "-c", NODE, "--ros-args", "--params-file", str(CONFIG)]
        processes.append(
            subprocess.Popen(
                [*command, *arguments], env=os.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
        return processes[-1]

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def request(env: EnvDescription, states: list[State], deadline: float) -> GetAdvice.Request:
    message = GetAdvice.Request(env=to_description_msg(env), deadline=deadline)
    for state in states:
        item = msg.AdviceState(id=state.id, reward=state.reward)
        item.state, item.action, item.next_state = (v.tolist() for v in (state.state, state.action, state.next_state))
        for frame in state.frames:
            picture = msg.Frame(camera=frame.camera)
            picture.image.data = frame.jpeg
            item.frames.append(picture)
        message.states.append(item)
    return message


def call(node: Node, message: GetAdvice.Request, timeout: float = 60.0) -> GetAdvice.Response:
    client = node.create_client(GetAdvice, "advisor/get_advice")
    assert client.wait_for_service(timeout)
    future = client.call_async(message)
    rclpy.spin_until_future_complete(node, future, timeout_sec=timeout)
    assert future.done()
    return future.result()


def test_it_answers_every_state_and_ends_cleanly(
    start: Callable[..., subprocess.Popen[str]], client: Node, env: EnvDescription, transition: Callable[..., State]
) -> None:
    process = start("backend:=scripted")
    seen: list[DiagnosticArray] = []
    client.create_subscription(DiagnosticArray, "/diagnostics", seen.append, 10)
    answer = call(client, request(env, [transition(number) for number in range(5)], 30.0))
    assert answer.advisor == "scripted (stand-in for a VLM)"
    assert [advice.id for advice in answer.advice] == [0, 1, 2, 3, 4]
    assert all(advice.status == msg.Advice.OK and len(advice.action) == 4 for advice in answer.advice)
    end = time.monotonic() + 30
    while not any("states OK" in [v.key for v in d.status[0].values] for d in seen) and time.monotonic() < end:
        rclpy.spin_once(client, timeout_sec=0.2)
    values = {item.key: item.value for item in seen[-1].status[0].values}
    assert values["states OK"] == "5"
    process.send_signal(2)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert "Traceback" not in output


def test_it_points_at_things_in_pictures(
    start: Callable[..., subprocess.Popen[str]], client: Node, frame: Frame
) -> None:
    start("backend:=scripted", "scripted.error_rate:=0.0", "scripted.point_error:=0.0")
    picture = decode_image(frame.jpeg) // 2 + 64  # grey noise
    cv2.circle(picture, (400, 200), 30, (220, 20, 20), -1)
    shown = to_frame_msg(Frame("camera", encode_jpeg(picture)))
    service = client.create_client(Point, "advisor/point")
    assert service.wait_for_service(60.0)
    future = service.call_async(Point.Request(frames=[shown], things=["the red disc", "the disc"], deadline=30.0))
    rclpy.spin_until_future_complete(client, future, timeout_sec=60.0)
    seen, refused = future.result().pointings
    assert (seen.status, seen.visible) == (msg.Advice.OK, True)
    assert abs(seen.x - 400) < 4
    assert abs(seen.y - 200) < 4
    assert refused.status == msg.Advice.REFUSED
    assert future.result().advisor == "scripted (stand-in for a VLM)"


def test_a_vision_language_model_answers_through_the_service(
    start: Callable[..., subprocess.Popen[str]], client: Node, env: EnvDescription, transition: Callable[..., State],
    tmp_path: Path,
) -> None:  # fmt: skip
    pytest.importorskip("transformers")
    pytest.importorskip("llguidance")
    model = make_tiny_vlm(tmp_path / "tiny")
    start(
        "backend:=transformers",
        "strategy:=direction",
        "votes:=1",
        "cache.mode:=off",
        f"transformers.model:={model}",
        "transformers.max_tokens:=3000",
    )
    answer = call(client, request(env, [transition(0), transition(1)], 40.0))
    assert answer.advisor == "transformers (tiny)"
    for advice in answer.advice:
        assert advice.status in (msg.Advice.OK, msg.Advice.REFUSED), advice.reason  # it may say that it cannot tell
        assert len(advice.action) == (4 if advice.status == msg.Advice.OK else 0)


def test_a_backend_comes_with_a_package_and_may_say_anything(
    start: Callable[..., subprocess.Popen[str]], client: Node, env: EnvDescription, transition: Callable[..., State],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    package = tmp_path / "third_party-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    points = "[varl_vlm_advisor.backends]\nfuzz = varl_vlm_advisor.testing.fuzz:FuzzBackend\n"
    (package / "entry_points.txt").write_text(points)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    process = start("backend:=fuzz", "strategy:=direction", "votes:=1")
    seen = set()
    for first in range(0, FUZZED, 500):
        states = [transition(number, pictured=False) for number in range(first, first + 500)]
        for number, advice in enumerate(call(client, request(env, states, 60.0)).advice, first):
            assert advice.id == number
            assert (len(advice.action) == 4) == (advice.status == msg.Advice.OK)
            assert all(-1.0 <= value <= 1.0 for value in advice.action)
            seen.add(advice.status)
    assert {msg.Advice.OK, msg.Advice.INVALID} <= seen
    assert process.poll() is None


def test_it_publishes_nothing_that_could_move_an_arm(start: Callable[..., subprocess.Popen[str]], client: Node) -> None:
    start("backend:=none")
    topics: set[str] = set()
    end = time.monotonic() + 60
    while "/diagnostics" not in topics and time.monotonic() < end:
        time.sleep(0.1)
        if "advisor" in client.get_node_names():
            topics = {name for name, _ in client.get_publisher_names_and_types_by_node("advisor", "/")}
    assert topics == {"/diagnostics", "/rosout", "/parameter_events"}


def test_a_file_that_ros_cannot_read_is_one_line(domain: int, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("/**/advisor:\n  ros__parameters: {openai: {base_url: http://host:80}}\n")
    command = [sys.executable, "-c", NODE, "--ros-args", "--params-file", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert f"--params-file {path}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("parameter", "remedy"),
    [
        ("backend:=script", "unknown advisor backend 'script'; did you mean 'scripted'?"),
        ("votess:=3", "unknown parameter 'votess'; did you mean 'votes'?"),
        ("scripted.error_rate:=2.0", "parameter 'scripted.error_rate'"),
    ],
)
def test_a_wrong_parameter_is_one_line(
    start: Callable[..., subprocess.Popen[str]], parameter: str, remedy: str
) -> None:
    process = start(parameter)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert remedy in output
    assert "Traceback" not in output
