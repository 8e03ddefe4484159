"""Memory of the dead is freed, that of the living is not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from varl_common.shared_memory import clean_shared_memory

NODE = "import rclpy, time; rclpy.init(); n = rclpy.create_node('n'); print('up', flush=True); time.sleep(60)"


def started() -> tuple[subprocess.Popen[bytes], set[Path]]:
    """A node, and the segments of shared memory that it has mapped."""
    process = subprocess.Popen([sys.executable, "-c", NODE], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    segments = (line.split(maxsplit=5)[-1] for line in maps.splitlines() if "/dev/shm/fast" in line)
    return process, {Path(segment) for segment in segments if "port" not in segment}


@pytest.mark.skipif(not shutil.which("fastdds"), reason="this ROS 2 has no fastdds tool")
def test_segments_of_the_killed_are_freed(domain: int) -> None:
    alive, before = started()
    doomed, after = started()
    left = after - before
    try:
        if not left:
            pytest.skip("this ROS 2 does not use Fast DDS's shared memory")
        doomed.kill()
        doomed.wait()
        assert all(segment.exists() for segment in left)
        clean_shared_memory()
        assert not any(segment.exists() for segment in left)
        assert all(segment.exists() for segment in before)
    finally:
        alive.kill()
        doomed.kill()


def test_without_the_tool_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    clean_shared_memory()
