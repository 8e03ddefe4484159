"""A pose as a matrix and back."""

import numpy as np
from varl_common.poses import matrix_to_pose, pose_to_matrix

HALF = np.sqrt(0.5)


def test_a_quarter_turn_about_z_sends_x_to_y() -> None:
    matrix = pose_to_matrix(np.array([0.1, 0.2, 0.3, 0.0, 0.0, HALF, HALF]))
    np.testing.assert_allclose(matrix @ [1.0, 0.0, 0.0, 1.0], [0.1, 1.2, 0.3, 1.0], atol=1e-12)


def test_there_and_back_with_a_quaternion_of_another_length() -> None:
    pose = np.array([0.4, -0.5, 0.6, 0.1, 0.2, 0.3, np.sqrt(1 - 0.14)])
    longer = pose * np.array([1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0])
    np.testing.assert_allclose(matrix_to_pose(pose_to_matrix(longer)), pose, atol=1e-12)
