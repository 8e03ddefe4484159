"""Memory of the dead is freed, that of the living is not."""

import subprocess
import sys
from pathlib import Path

import pytest
from varl_common.host import shared_memory
from varl_common.host.shared_memory import clean_shared_memory

NODE = "import rclpy, time; rclpy.init(); n = rclpy.create_node('n'); print('up', flush=True); time.sleep(60)"


def started() -> tuple[subprocess.Popen[bytes], set[Path]]:
    """A node, and the segments of shared memory that it has mapped."""
    process = subprocess.Popen([sys.executable, "-c", NODE], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    segments = (line.split(maxsplit=5)[-1] for line in maps.splitlines() if "/dev/shm/fast" in line)
    return process, {Path(segment) for segment in segments if "port" not in segment}


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


def test_only_fast_dds_own_files_are_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "_FOLDER", tmp_path)
    segment, port = "fastdds_0123456789abcdef", "fastrtps_port7000"
    dead = [segment, f"{segment}_el", port, f"{port}_el", f"sem.{port}_mutex"]
    others = ["fastdds_mine_el", "fastest_el", "sem.other", "fastrtps_port7002"]
    for name in dead + others:
        (tmp_path / name).touch()
    clean_shared_memory()
    assert {path.name for path in tmp_path.iterdir()} == set(others)
