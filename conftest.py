"""Fixtures for every test of the project: each graph test has a DDS domain of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import varl_agent.openblas  # noqa: F401 (before any test's numpy)
from varl_common.host.domain import free_domain, one_host
from varl_common.host.shared_memory import clean_shared_memory


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A DDS domain that no other test uses now, also set in the environment for processes the test starts."""
    with free_domain() as domain_id:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
        yield domain_id
    clean_shared_memory()  # many tests kill nodes; hundreds of them would fill the memory


@pytest.fixture
def ros(domain: int) -> Iterator[int]:
    """An initialised rclpy in a domain of its own."""
    rclpy = pytest.importorskip("rclpy")
    rclpy.init(domain_id=domain)
    yield domain
    rclpy.try_shutdown()


os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MUJOCO_GL", "egl")
PROFILE = Path(__file__).parent / "config/dds/one_host.xml"
for variable, value in one_host(PROFILE, os.environ.get("ROS_DISTRO")).items():
    os.environ.setdefault(variable, value)
