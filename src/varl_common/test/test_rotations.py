import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from varl_common.poses import angle_between, rotation_of, rotation_vector, yaw_of

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-6, 0.3, 3.0, np.pi - 1e-7, np.pi])
def test_there_and_back_at_any_angle(angle: float) -> None:
    axes = RNG.standard_normal((20, 3))
    vectors = angle * axes / np.linalg.norm(axes, axis=1, keepdims=True)
    matrices = rotation_of(vectors)
    np.testing.assert_allclose(matrices, Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(rotation_of(rotation_vector(matrices)), matrices, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rotation_vector(matrices), axis=1), angle, atol=1e-6)


def test_one_is_as_many() -> None:
    vector = np.array([0.1, -0.2, 0.4])
    np.testing.assert_allclose(rotation_vector(rotation_of(vector)), vector, atol=1e-12)
    assert angle_between(rotation_of(vector), np.eye(3)) == pytest.approx(np.linalg.norm(vector))
    assert yaw_of(rotation_of([0.0, 0.0, -2.5])) == pytest.approx(-2.5)


def test_yaw_is_the_twist_whatever_leans() -> None:
    lean, twist = rotation_of([0.5, -0.3, 0.0]), rotation_of([0.0, 0.0, 1.2])
    assert yaw_of(lean @ twist) == pytest.approx(1.2)
