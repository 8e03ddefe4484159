"""How models of each family point: the coordinates that they give, and the size of the picture that these are of."""

from __future__ import annotations

import math
import re
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Convention = Literal["pixel", "pixel28", "percent", "thousand", "thousand_yx"]
"""pixel: of the picture as sent. pixel28: the same, of a picture whose sides are multiples of 28. percent, thousand: x
and y as shares of width and height, in hundredths or thousandths. thousand_yx: the same with y first."""

# Which family speaks which, and who says so. A model is known by its name; the first pattern that fits counts.
FAMILIES: tuple[tuple[str, Convention, str], ...] = (
    (
        r"qwen-?2\.5-?(vl|omni)|ui-tars-1\.5",
        "pixel28",
        "QwenLM/Qwen3-VL#676: of the picture as its processor resizes it",
    ),
    (r"qwen-?[23]-?(vl|omni)|qwen-?3\.", "thousand", "QwenLM/Qwen3-VL#866 (Qwen2-VL) and #1741 (from Qwen3-VL on)"),
    (r"molmo(?!-?2|point)", "percent", "huggingface.co/allenai/Molmo-7B-O-0924/discussions/1"),
    (r"gemini", "thousand_yx", "ai.google.dev/gemini-api/docs/robotics-overview"),
    (r"glm-?4\.?\d?v|glm-4\.1v", "thousand", "skills.sh/zai-org/glm-skills/glmv-grounding"),
    (r"internvl", "thousand", "QwenLM/Qwen3-VL#1485"),
    (r"varl-sight", "thousand", "this project's own, docs/model_card.md"),
)

GRID = 28
"""Pixels: patches of 14, joined two by two (transformers, Qwen2VLImageProcessor)."""
_FEWEST, _MOST = 56 * 56, 28 * 28 * 1280
"""Pixels to which the processor of Qwen2.5-VL enlarges or shrinks a picture by its defaults; servers allow more."""

_ASKED = {
    "pixel": "[x, y] in pixels of the picture, which is {width} wide and {height} high; [0, 0] is its upper left",
    "percent": "[x, y] in percent of the picture's width and height, 0 to 100; [0, 0] is its upper left",
    "thousand": "[x, y], each 0 to 1000 over the picture's width and height; [0, 0] is its upper left",
    "thousand_yx": "[y, x], each 0 to 1000 over the picture's height and width; [0, 0] is its upper left",
}
_WHOLE = {"percent": 100.0, "thousand": 1000.0, "thousand_yx": 1000.0}


def convention_of(model: str) -> Convention:
    """How the model of that name points; pixels where its family is not known."""
    for pattern, convention, _ in FAMILIES:
        if re.search(pattern, model.lower().replace("_", "-")):
            return convention
    return "pixel"


def picture_size(width: int, height: int, convention: str) -> tuple[int, int]:
    """Width and height, px, at which to send a picture of that size, so that no processor changes what pixels mean.

    For ``pixel28`` these are the multiples of 28 that Qwen2.5-VL's own processor would choose (``smart_resize``): it
    has nothing left to resize, and the model points in the picture that we know.
    """
    if convention != "pixel28":
        return width, height
    columns, rows = (round(side / GRID) * GRID for side in (width, height))
    if columns * rows > _MOST:
        shrink = math.sqrt(width * height / _MOST)
        columns, rows = (max(GRID, math.floor(side / shrink / GRID) * GRID) for side in (width, height))
    elif columns * rows < _FEWEST:
        enlarge = math.sqrt(_FEWEST / (width * height))
        columns, rows = (math.ceil(side * enlarge / GRID) * GRID for side in (width, height))
    return columns, rows


def coordinates_asked(convention: str, width: int, height: int) -> str:
    """How a question asks for a point."""
    return _ASKED[_spoken(convention)].format(width=width, height=height)


def coordinate_limit(convention: str, width: int, height: int) -> float:
    """The greatest coordinate that a point can have."""
    return _WHOLE.get(convention, float(max(width, height)))


def to_pixel(point: NDArray[np.float64], convention: str, width: int, height: int) -> NDArray[np.float64]:
    """A model's coordinates as pixels x, y of the picture as sent."""
    if _spoken(convention) == "pixel":
        return point
    x_y = point[::-1] if convention == "thousand_yx" else point
    return np.asarray(x_y / _WHOLE[convention] * [width - 1, height - 1])


def to_point(pixel: NDArray[np.float64], convention: str, width: int, height: int) -> list[int]:
    """The inverse of :func:`to_pixel`, in whole numbers: what a model that points at ``pixel`` says."""
    if _spoken(convention) == "pixel":
        return [round(float(value)) for value in pixel]
    x_y = np.asarray(pixel) * _WHOLE[convention] / [width - 1, height - 1]
    said = [round(float(value)) for value in np.clip(x_y, 0, _WHOLE[convention])]
    return said[::-1] if convention == "thousand_yx" else said


def _spoken(convention: str) -> str:
    assert convention in get_args(Convention)
    return "pixel" if convention == "pixel28" else convention
