"""Pictures survive their encoding; what is no picture is told by a sentence."""

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_common.image_codec import decode_depth, decode_image, encode_depth, encode_jpeg

RED = np.full((16, 24, 3), [200, 30, 10], np.uint8)


def test_a_jpeg_keeps_colors_in_the_order_red_green_blue() -> None:
    np.testing.assert_allclose(decode_image(encode_jpeg(RED)), RED, atol=4)
    np.testing.assert_array_equal(decode_image(encode_jpeg(RED[:, ::-1])), decode_image(encode_jpeg(RED)))  # a view


def test_depth_is_exact() -> None:
    depth = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5461
    seen = decode_depth(encode_depth(depth[:, ::-1]))
    np.testing.assert_array_equal(seen, depth[:, ::-1])


@pytest.mark.parametrize("data", [b"", b"no picture", encode_jpeg(RED)[:20]])
def test_what_is_no_picture_is_told_so(data: bytes) -> None:
    with pytest.raises(VarlError, match="not a readable JPEG or PNG"):
        decode_image(data)
    assert decode_depth(data) is None


def test_a_color_picture_is_no_depth() -> None:
    assert decode_depth(encode_jpeg(RED)) is None


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_a_picture_without_pixels_is_told_so(shape: tuple[int, int]) -> None:
    with pytest.raises(VarlError, match="look at the camera"):
        encode_jpeg(np.zeros((*shape, 3), np.uint8))
    with pytest.raises(VarlError, match="look at the camera"):
        encode_depth(np.zeros(shape, np.uint16))
