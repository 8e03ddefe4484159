"""Camera calibrations as sensor_msgs/CameraInfo."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from varl_robot_env.perception.realsense import Intrinsics


def camera_info(intrinsics: Intrinsics, header: Header) -> CameraInfo:
    """The camera_info of a pinhole camera with plumb-bob distortion and no rectification."""
    k = intrinsics.k
    return CameraInfo(
        header=header,
        width=intrinsics.width,
        height=intrinsics.height,
        distortion_model="plumb_bob",
        d=intrinsics.distortion.tolist(),
        k=k.ravel(),
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[k[0, 0], 0.0, k[0, 2], 0.0, 0.0, k[1, 1], k[1, 2], 0.0, 0.0, 0.0, 1.0, 0.0],
    )
