"""Hand-eye calibration on synthetic arms and cameras whose truth is known."""

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation
from varl_common.errors import VarlError
from varl_robot_env.perception.hand_eye import Mount, calibrate
from varl_robot_env.types import Array


def pose(position: ArrayLike, turn: ArrayLike) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = position
    return matrix


CAMERA = pose([0.05, -0.03, 0.08], [0.1, -0.2, 1.5])
TARGET = pose([0.45, 0.1, 0.02], [3.0, 0.2, 0.1])


def samples(mount: Mount, count: int, noise_m: float, noise_rad: float, seed: int) -> tuple[list[Array], list[Array]]:
    rng = np.random.default_rng(seed)
    tools, targets = [], []
    for _ in range(count):
        tool = pose(
            np.add([0.4, 0.0, 0.4], rng.uniform(-0.1, 0.1, 3)), np.add([3.0, 0.1, 0.0], rng.uniform(-0.4, 0.4, 3))
        )
        hand = tool if mount == "tool" else np.linalg.inv(tool)
        seen = np.linalg.inv(CAMERA) @ np.linalg.inv(hand) @ TARGET
        tools.append(tool)
        targets.append(seen @ pose(rng.normal(0, noise_m, 3), rng.normal(0, noise_rad, 3)))
    return tools, targets


@pytest.mark.parametrize("mount", ["tool", "base"])
def test_without_noise_the_camera_is_found_exactly(mount: Mount) -> None:
    found = calibrate(*samples(mount, 8, 0.0, 0.0, seed=1), mount)
    np.testing.assert_allclose(found.camera, CAMERA, atol=1e-7)
    np.testing.assert_allclose(found.target, TARGET, atol=1e-7)
    assert found.residual_mm < 1e-4


@pytest.mark.parametrize("mount", ["tool", "base"])
def test_with_the_noise_of_a_marker_the_error_and_the_residual_are_millimetres(mount: Mount) -> None:
    found = calibrate(*samples(mount, 20, 0.001, 0.003, seed=2), mount)
    error_mm = 1000 * np.linalg.norm(found.camera[:3, 3] - CAMERA[:3, 3])
    assert error_mm < 2.5
    assert 0.8 < found.residual_mm < 3.0, "the residual tells the noise of the measurement"
    assert found.residual_deg < 0.6


def test_the_worst_sample_is_named() -> None:
    tools, targets = samples("tool", 12, 0.0005, 0.001, seed=3)
    targets[4] = targets[4] @ pose([0.03, 0.0, 0.0], [0.0, 0.0, 0.0])
    found = calibrate(tools, targets, "tool")
    assert found.worst == 4
    assert found.worst_mm > 15


def test_too_few_samples_and_too_little_turning_are_refused() -> None:
    tools, targets = samples("tool", 4, 0.0, 0.0, seed=4)
    with pytest.raises(VarlError, match="take at least"):
        calibrate(tools, targets, "tool")
    tools = [pose([0.4 + 0.01 * i, 0.0, 0.4], [0.0, 0.0, 0.3 * i]) for i in range(8)]
    targets = [np.linalg.inv(CAMERA) @ np.linalg.inv(tool) @ TARGET for tool in tools]
    with pytest.raises(VarlError, match="about one axis only"):
        calibrate(tools, targets, "tool")
