"""Fixtures for every test of the project: each graph test has a DDS domain of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from varl_common.domain import free_domain


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A DDS domain that no other test uses now, also set in the environment for processes the test starts."""
    with free_domain() as domain_id:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
        monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        yield domain_id


@pytest.fixture
def ros(domain: int) -> Iterator[int]:
    """An initialised rclpy in a domain of its own."""
    rclpy = pytest.importorskip("rclpy")
    rclpy.init(domain_id=domain)
    yield domain
    rclpy.try_shutdown()


os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MUJOCO_GL", "egl")
FAST_DDS = "FASTRTPS" if os.environ.get("ROS_DISTRO") == "jazzy" else "FASTDDS"  # Jazzy's knows the old name only
os.environ.setdefault(f"{FAST_DDS}_DEFAULT_PROFILES_FILE", str(Path(__file__).parent / "config/dds/one_host.xml"))
