"""Pictures on the wire: encodings, padding, byte order, depth units."""

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from varl_common.errors import VarlError
from varl_robot_env.ros.image_messages import color_pixels, depth_metres, to_image

RNG = np.random.default_rng(0)
COLOR = RNG.integers(0, 255, (4, 5, 3), dtype=np.uint8)


def test_color_comes_back_as_rgb_from_every_encoding() -> None:
    for encoding, pixels in {
        "rgb8": COLOR,
        "bgr8": COLOR[..., ::-1],
        "rgba8": np.dstack([COLOR, np.full((4, 5), 255, np.uint8)]),
        "bgra8": np.dstack([COLOR[..., ::-1], np.full((4, 5), 255, np.uint8)]),
    }.items():
        np.testing.assert_array_equal(color_pixels(to_image(pixels, encoding, Header())), COLOR)


def test_rows_with_padding_and_big_endian_depth() -> None:
    padded = Image(height=2, width=2, encoding="16UC1", is_bigendian=1, step=6)
    padded.data.frombytes(b"\x03\xe8\x00\x01\xff\xff\x00\x00\x07\xd0\xff\xff")
    np.testing.assert_allclose(depth_metres(padded), [[1.0, 0.001], [np.nan, 2.0]], rtol=1e-6)


def test_depth_in_metres_and_in_millimetres_agree() -> None:
    millimetres = np.array([[0, 1500]], np.uint16)
    metres = np.array([[np.inf, 1.5]], np.float32)
    expected = [[np.nan, 1.5]]
    np.testing.assert_allclose(depth_metres(to_image(millimetres, "16UC1", Header())), expected)
    np.testing.assert_allclose(depth_metres(to_image(metres, "32FC1", Header())), expected)


@pytest.mark.parametrize("encoding", ["yuv422", "16UC1"])
def test_an_unknown_color_encoding_is_refused_with_a_remedy(encoding: str) -> None:
    with pytest.raises(VarlError, match="not supported"):
        color_pixels(Image(height=1, width=1, encoding=encoding, step=2, data=[0, 0]))


def test_a_picture_shorter_than_it_claims_is_refused() -> None:
    with pytest.raises(VarlError, match="check the camera's driver"):
        color_pixels(Image(height=9, width=9, encoding="rgb8", step=27, data=[0] * 5))


@pytest.mark.parametrize("size", [(0, 0), (0, 4), (4, 0)])
def test_a_picture_without_pixels_is_told_so(size: tuple[int, int]) -> None:
    message = Image(height=size[0], width=size[1], encoding="rgb8", step=3 * size[1])
    with pytest.raises(VarlError, match="shows nothing"):
        color_pixels(message)
    message.encoding = "16UC1"
    with pytest.raises(VarlError, match="shows nothing"):
        depth_metres(message)
