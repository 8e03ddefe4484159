"""Camera calibrations as sensor_msgs/CameraInfo carries them."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from varl_common.errors import VarlError

from varl_robot_env.perception.camera_model import CameraModel

# Names of distortion models in sensor_msgs/distortion_models.hpp, and how many coefficients each may have.
_FIXED = np.array([0, 1, 2, 2, 2]), np.array([1, 0, 0, 1, 2])  # elements of an intrinsic matrix that are 0, 0, 0, 0, 1
_EXACT = 1e-6
_COUNTS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}


def camera_info(model: CameraModel, header: Header) -> CameraInfo:
    """The message of a camera whose pictures are not rectified."""
    k = model.k
    polynomial = "rational_polynomial" if len(model.distortion) > 5 else "plumb_bob"
    return CameraInfo(
        header=header,
        width=model.width,
        height=model.height,
        distortion_model="equidistant" if model.fisheye else polynomial,
        d=model.distortion.tolist(),
        k=k.ravel(),
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[k[0, 0], 0.0, k[0, 2], 0.0, 0.0, k[1, 1], k[1, 2], 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def camera_model(info: CameraInfo, image_topic: str) -> CameraModel:
    """The camera behind the pictures of ``image_topic``, with the driver's binning and region of interest applied.

    A topic whose last part holds ``rect`` (``image_rect_color``, as image_proc names it) carries rectified pictures,
    which the message describes by P, without distortion; others are described by K and D.

    Raises:
        VarlError: the camera is not calibrated, or its lens is none that we know.
    """
    rectified = "rect" in image_topic.rpartition("/")[2]
    matrix = np.array(info.p, np.float64).reshape(3, 4)[:, :3] if rectified else np.array(info.k).reshape(3, 3)
    if not np.isfinite(matrix).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        which = "P" if rectified else "K"
        raise VarlError(
            f"the camera of {image_topic} is uncalibrated: {which} of its camera_info is {matrix.ravel().tolist()}; "
            "calibrate its lens (camera_calibration) and give its driver the file"
        )
    if np.abs(matrix[_FIXED] - [0, 0, 0, 0, 1]).max() > _EXACT:
        which = "P" if rectified else "K"
        raise VarlError(
            f"{which} of the camera_info of {image_topic} is {matrix.ravel().tolist()}, which is no matrix of a camera "
            "([fx 0 cx; 0 fy cy; 0 0 1]); calibrate it again"
        )
    distortion, fisheye = (np.zeros(5), False) if rectified else _lens(info, image_topic)
    across, down = max(1, info.binning_x), max(1, info.binning_y)
    region = info.roi
    matrix[0, 2] -= region.x_offset
    matrix[1, 2] -= region.y_offset
    matrix[0] /= across
    matrix[1] /= down
    width, height = region.width or info.width, region.height or info.height
    model = CameraModel(width // across, height // down, matrix, distortion, fisheye)
    if not model.can_be_straightened:
        raise VarlError(
            f"the lens of {image_topic} cannot be straightened with the distortion {distortion.tolist()}; calibrate it "
            "again"
        )
    return model


def check_size(model: CameraModel, width: int, height: int, image_topic: str) -> None:
    """That the picture of ``width`` by ``height`` pixels is one of the calibrated size.

    Raises:
        VarlError: it is not, so that nothing seen in it could be placed.
    """
    if model.width and model.height and (width, height) != (model.width, model.height):
        raise VarlError(
            f"{image_topic} has pictures of {width}x{height} pixels, but its camera_info is of "
            f"{model.width}x{model.height}; calibrate the camera at the size at which it streams"
        )


def _lens(info: CameraInfo, image_topic: str) -> tuple[np.ndarray, bool]:
    coefficients = np.array(info.d, np.float64)
    if not coefficients.any():
        fisheye = info.distortion_model == "equidistant"
        return np.zeros(4 if fisheye else 5), fisheye
    counts = _COUNTS.get(info.distortion_model)
    if counts is None:
        raise VarlError(
            f"the camera of {image_topic} has the distortion model {info.distortion_model!r}, which is not known "
            f"(known: {', '.join(_COUNTS)}); rectify its pictures with image_proc and name the topic of those"
        )
    if len(coefficients) not in counts or not np.isfinite(coefficients).all():
        expected = " or ".join(map(str, counts))
        raise VarlError(
            f"the camera of {image_topic} has the distortion {coefficients.tolist()}; "
            f"{info.distortion_model} takes {expected} finite coefficients; calibrate it again"
        )
    return coefficients, info.distortion_model == "equidistant"
