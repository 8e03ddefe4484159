"""Pictures of a table with a red disc and a green box, whose places are known."""

import cv2
import numpy as np
from varl_robot_env.perception.localiser import Pointing
from varl_robot_env.types import Array, Image

NAMES = ("disc", "box")
Drawn = tuple[Image, dict[str, Array]]
_TABLE = cv2.GaussianBlur(np.random.default_rng(5).integers(60, 190, (240, 320, 3), np.uint8), (0, 0), 6)


def draw(
    rng: np.random.Generator, absent: tuple[str, ...] = (), hidden: bool = False
) -> tuple[Image, dict[str, Array]]:
    """A picture, and the pixel of each thing, also of those that are ``absent``; ``hidden``: a sheet lies over both."""
    picture = _TABLE.copy()
    pixels = {"disc": rng.uniform([30, 30], [140, 210]), "box": rng.uniform([180, 30], [290, 210])}
    cv2.circle(picture, rng.integers([0, 0], [320, 240]).tolist(), 14, (60, 70, 200), -1)  # of no interest
    (x, y), (u, v) = (pixel.round().astype(int).tolist() for pixel in pixels.values())
    if "disc" not in absent:
        cv2.circle(picture, (x, y), 8, (210, 40, 30), -1)
    if "box" not in absent:
        cv2.rectangle(picture, (u - 7, v - 7), (u + 7, v + 7), (30, 180, 60), -1)
    if hidden:
        for place in ((x, y), (u, v)):
            cv2.rectangle(picture, (place[0] - 25, place[1] - 25), (place[0] + 25, place[1] + 25), (120, 110, 100), -1)
    noisy = picture + rng.normal(0, 3, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), pixels


def pointings(count: int, rng: np.random.Generator, off: float = 0.0, slips: float = 0.0) -> list[Pointing]:
    """Of a model that is off by a normal error of ``off`` pixels per axis, and anywhere at the rate ``slips``."""
    made = []
    for _ in range(count):
        picture, pixels = draw(rng)
        said: dict[str, Array | None] = {name: pixel + rng.normal(0, off, 2) for name, pixel in pixels.items()}
        for name in NAMES:
            if rng.random() < slips:
                said[name] = rng.uniform([0, 0], [320, 240])
        made.append(Pointing(picture, said))
    return made
