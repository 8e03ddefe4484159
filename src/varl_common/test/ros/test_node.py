"""A node's end: told once or twice, while it imports, is made, spins or waits, it is an orderly one."""

import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")

PROGRAM = """
import varl_common.host.uncaught
import sys, time
{importing}
from rclpy.node import Node
from varl_common.ros.node import run_node

class Slow(Node):
    def __init__(self):
        super().__init__("slow")
        self.create_timer(0.01, self.work)
        {making}

    def work(self):
        {working}

    def destroy_node(self):
        time.sleep(0.5)
        super().destroy_node()
        print("ended", flush=True)

run_node(Slow)
"""
UP = "print('up', flush=True)"
FOR_EVER = f"{UP}; time.sleep(60)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["importing", "making", "working", "spinning"])
def test_a_node_that_is_told_to_end_ends_with_status_0(domain: int, phase: str, number: signal.Signals) -> None:
    if phase == "importing" and number == signal.SIGTERM:
        pytest.skip("Python's own SIGTERM, before anything has begun")
    parts = {"importing": "", "making": "pass", "working": "pass"} | {phase: FOR_EVER}
    if phase == "spinning":
        parts["working"] = UP
    program = PROGRAM.format(**{name: parts[name] for name in ("importing", "making", "working")})
    node = subprocess.Popen(
        [sys.executable, "-c", program, "--ros-args"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests with & has them, and all that they start, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert node.stdout is not None
        assert node.stdout.readline() == "up\n"
        node.send_signal(number)
        node.send_signal(number)
        said, errors = node.communicate(timeout=50)  # below the 60 s of FOR_EVER
    finally:
        node.kill()  # one that does not end outlives no test
        node.wait()
    assert node.returncode == 0, errors
    assert "Traceback" not in errors
    assert ("ended" in said) == (phase in ("working", "spinning")), "it is torn down where it was made"


def test_that_a_signal_shut_ros_down_first_is_an_orderly_end(ros: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import rclpy
    from varl_common.ros import node

    def too_late() -> None:
        """As rclpy's own, where its thread for signals comes between the look at the context and the call."""
        rclpy.shutdown()
        raise node.RCLError("failed to shutdown: rcl_shutdown already called on the given context")

    monkeypatch.setattr(rclpy, "try_shutdown", too_late)
    node._shut_down()
    assert not rclpy.ok()
    rclpy.init(domain_id=ros)
    monkeypatch.setattr(rclpy, "try_shutdown", lambda: (_ for _ in ()).throw(node.RCLError("another one")))
    with pytest.raises(node.RCLError, match="another one"):
        node._shut_down()
    monkeypatch.undo()


def test_a_package_that_is_missing_is_one_sentence_that_says_where_it_comes_from() -> None:
    program = "import varl_common.host.uncaught\nfrom no_such_package import Thing"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No module named 'no_such_package'" in done.stderr
    assert "tools/setup --packages-only" in done.stderr
    mine = subprocess.run(
        [sys.executable, "-c", "import varl_common.host.uncaught\nimport varl_common.no_such_module"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" in mine.stderr, "a fault of ours is not taken for one of the installation"
