"""Looks: the picture changes and the task does not; the calibration follows the camera."""

from typing import Any

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_robot_env.env.arm_env import ArmEnv, Looks


@pytest.fixture
def env() -> Any:
    """The push task in a world of many looks."""
    made = ArmEnv("push", looks=Looks())
    yield made
    made.close()


def _camera(env: ArmEnv) -> Any:
    camera = env.arm.simulation.camera
    return np.concatenate([camera.k.ravel(), camera.pose])


def test_the_same_seed_is_the_same_look(env: ArmEnv) -> None:
    env.reset(seed=1)
    looks = []
    for seed in (3, 4, 3):
        env.restyle(seed)
        looks.append((env.arm.simulation.model.geom_rgba.copy(), _camera(env)))
    assert all(np.array_equal(one, other) for one, other in zip(looks[0], looks[2], strict=True))
    assert not np.array_equal(looks[0][0], looks[1][0])


def test_what_happens_does_not_depend_on_the_look(env: ArmEnv) -> None:
    plain = ArmEnv("push")
    states = []
    for one in (plain, env):
        one.reset(seed=5)
        if one is env:
            one.restyle(9)
        states.append([one.step(np.full(3, 0.5, np.float32))[0] for _ in range(10)])
    np.testing.assert_allclose(states[0], states[1], atol=1e-6)


def test_a_camera_that_is_moved_tells_its_new_place() -> None:
    env = ArmEnv("reach", looks=Looks(exact=True, camera_move=0.1, camera_turn=10.0))
    env.reset(seed=0)
    before = env.arm.simulation.camera.pose.copy()
    env.restyle(2)
    after = env.arm.simulation.camera.pose
    assert np.linalg.norm(after[:3] - before[:3]) == pytest.approx(0.1)
    assert 2 * np.degrees(np.arccos(abs(before[3:] @ after[3:]))) == pytest.approx(10.0, abs=1e-3)


def test_block_and_target_keep_the_colours_they_are_called_by(env: ArmEnv) -> None:
    model = env.arm.simulation.model
    for seed in range(20):
        env.reset(seed=seed)
        env.restyle(seed)
        red, green = (model.geom_rgba[model.body(name).geomadr[0]] for name in ("block", "target"))
        assert red[0] > 2 * max(red[1], red[2])
        assert green[1] > 1.5 * max(green[0], green[2])


def test_one_look_cannot_be_changed() -> None:
    with pytest.raises(VarlError, match="make it with looks"):
        ArmEnv("reach").restyle(0)
