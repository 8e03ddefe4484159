"""Teaching a localiser by a model's pointings: in under a minute on one core, from 50 to 200 pictures.

So few pictures are made many: squares of them, mirrored, in other light, and with a thing covered by a patch or
replaced by the table behind it (which another picture shows, while the thing is elsewhere), so that the network learns
what nothing looks like.

A network that is taught by noise learns it by heart. So two are taught by a half of the pictures each, and say where
they see the things in the other half: what they have learned by heart does not help them there. Their word, where they
are sure, is far cleaner than the model's, and by that the localiser is taught. A pointing far from it is a slip. Each
network sees a thing a little to one side, always the same; in the end that is taken off, by the pointings themselves,
whose noise goes to all sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from varl_robot_env.perception.localiser import STRIDE, HeatMaps, Localiser, Pointing, at_scale, shrink, to_tensor
from varl_robot_env.types import Array, Image

STEPS = 300
_FIRST = 0.3  # share of the steps that each half is learned from by itself
_BATCH = 12
_CROP = 36  # cells, of a square that is learned from at a time
_SPREAD = 1.4, 0.8  # cells: of the target about a pointing, while noisy and when cleaned
_RATE = 4e-3
_SURE = 0.5
_NOISY_RADIUS = 4.5  # cells: pointings scatter that far
_SLIP = 24.0  # pixels
_COVERS = 26, 40  # pixels: half of a side of what covers a thing whole, wherever a noisy pointing has it
_BITS = 4, 16  # of what covers something else


@dataclass
class _Lesson:
    """Pictures (n, h, w, 3) and pixels (n, things, 2); NaN: not to be seen; inf: not known."""

    pictures: NDArray[np.uint8]
    pixels: Array

    def part(self, which: slice) -> _Lesson:
        return _Lesson(self.pictures[which], self.pixels[which])


def teach(
    names: Sequence[str],
    pointings: Sequence[Pointing],
    seed: int = 0,
    steps: int = STEPS,
    stopped: Callable[[], bool] = lambda: False,
) -> Localiser | None:
    """A localiser of ``names``, or None where it was ``stopped``. The same pointings and seed teach the same.

    ``pointings``: in the order of time; those of another size than the newest are left out.
    """
    lesson, rng = _lesson(names, pointings), np.random.default_rng(seed)
    half = len(lesson.pictures) // 2
    early, late = lesson.part(slice(None, half)), lesson.part(slice(half, None))
    cleaned = []
    for part, other in ((early, late), (late, early)):
        network = _taught(part, _SPREAD[0], round(_FIRST * steps), rng, stopped)
        if network is None:
            return None
        cleaned.append(_cleaned(other, Localiser(names, network)))
    whole = _Lesson(lesson.pictures, np.concatenate([one.pixels for one in reversed(cleaned)]))
    network = _taught(whole, _SPREAD[1], steps - 2 * round(_FIRST * steps), rng, stopped)
    return None if network is None else _straightened(Localiser(names, network), lesson)


def _taught(
    lesson: _Lesson, spread: float, steps: int, rng: np.random.Generator, stopped: Callable[[], bool]
) -> HeatMaps | None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        network = HeatMaps(lesson.pixels.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    for _ in range(steps):
        if stopped():
            return None
        pictures, targets, known = _batch(lesson, rng, spread)
        logits = network(to_tensor(pictures))
        losses = -(torch.from_numpy(targets) * functional.log_softmax(logits, 2)).sum(2)
        loss = (losses * torch.from_numpy(known)).sum() / max(1.0, float(known.sum()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network


def _lesson(names: Sequence[str], pointings: Sequence[Pointing]) -> _Lesson:
    shape = pointings[-1].rgb.shape
    alike = [pointing for pointing in pointings if pointing.rgb.shape == shape]
    pictures, pixels = [], np.full((len(alike), len(names), 2), np.inf)
    for number, pointing in enumerate(alike):
        small, scale = shrink(pointing.rgb)
        pictures.append(small)
        for row, name in enumerate(names):
            if name in pointing.pixels:
                said = pointing.pixels[name]
                pixels[number, row] = np.nan if said is None else at_scale(said, scale)
    return _Lesson(np.stack(pictures), pixels)


def _cleaned(lesson: _Lesson, localiser: Localiser) -> _Lesson:
    """The pointings as the network sees it where it is sure; one that it is sure is wrong is not known."""
    pixels = lesson.pixels.copy()
    for number, picture in enumerate(lesson.pictures):
        found = localiser.look(picture, _NOISY_RADIUS)
        for row, name in enumerate(localiser.names):
            said, seen = pixels[number, row], found[name]
            if not np.isfinite(said).all() or seen.confidence < _SURE:
                continue
            slipped = np.linalg.norm(said - seen.pixel) > _SLIP
            pixels[number, row] = np.inf if slipped else seen.pixel
    return _Lesson(lesson.pictures, pixels)


def _straightened(localiser: Localiser, lesson: _Lesson) -> Localiser:
    """Takes off how far the pointings lie to one side of where it sees each thing, in the mean."""
    apart: list[list[Array]] = [[] for _ in localiser.names]
    for picture, pixels in zip(lesson.pictures, lesson.pixels, strict=True):
        found = localiser.find(picture)
        for row, name in enumerate(localiser.names):
            if name in found and np.linalg.norm(offset := pixels[row] - found[name].pixel) <= _SLIP:
                apart[row].append(offset)
    localiser.offsets = np.array([np.mean(own, axis=0) if own else np.zeros(2) for own in apart])
    return localiser


def _batch(
    lesson: _Lesson, rng: np.random.Generator, spread: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Parts of pictures (n, h, w, 3), shares of cells and of nowhere (n, things, cells + 1), and which are known."""
    squares, targets, known = [], [], []
    for _ in range(_BATCH):
        square, pixels = _square(lesson, rng)
        squares.append(square)
        rows, columns = square.shape[0] // STRIDE, square.shape[1] // STRIDE
        targets.append([_target(pixel, spread, rows, columns) for pixel in pixels])
        known.append([not np.isinf(pixel).any() for pixel in pixels])
    return np.stack(squares), np.array(targets, np.float32), np.array(known, np.float32)


def _square(lesson: _Lesson, rng: np.random.Generator) -> tuple[Image, Array]:
    number = int(rng.integers(len(lesson.pictures)))
    picture, pixels = lesson.pictures[number].copy(), lesson.pixels[number].copy()
    for row in range(len(pixels)):
        if np.isfinite(pixels[row]).all():
            chance = rng.random()
            if chance < 0.15:
                _cover(picture, pixels, row, rng)
            elif chance < 0.3:
                _empty(picture, pixels, row, lesson, rng)
    for _ in range(int(rng.integers(3))):
        half = rng.integers(*_BITS)
        _patch(picture, rng.uniform([0, 0], picture.shape[1::-1]), int(half), rng)
    size = np.array(picture.shape[1::-1])
    side = np.minimum(_CROP * STRIDE, size)
    seen = [pixel for pixel in pixels if np.isfinite(pixel).all()]
    middle = rng.uniform(0, size)
    if seen and rng.random() < 0.75:
        middle = seen[int(rng.integers(len(seen)))] + rng.uniform(-side / 2, side / 2)
    x, y = np.clip(middle - side / 2, 0, size - side).astype(int)
    square = picture[y : y + side[1], x : x + side[0]]
    pixels = pixels - [x, y]
    if rng.random() < 0.5:
        square = square[:, ::-1]
        pixels[:, 0] = side[0] - 1 - pixels[:, 0]
    return _lit(square, rng), pixels


def _target(pixel: Array, spread: float, rows: int, columns: int) -> NDArray[np.float32]:
    """The share of each cell, and last that of nowhere, for a thing at ``pixel``."""
    shares = np.zeros(rows * columns + 1, np.float32)
    if not np.isfinite(pixel).all():
        shares[-1] = 1.0
        return shares
    x, y = (pixel + 0.5) / STRIDE - 0.5
    across, down = (
        np.exp(-((np.arange(cells) - middle) ** 2) / (2 * spread**2)) / (spread * np.sqrt(2 * np.pi))
        for cells, middle in ((columns, x), (rows, y))
    )
    shares[:-1] = np.outer(down, across).ravel()
    shares[:-1] /= max(1.0, float(shares[:-1].sum()))
    shares[-1] = max(0.0, 1.0 - float(shares[:-1].sum()))
    return shares


def _cover(picture: Image, pixels: Array, row: int, rng: np.random.Generator) -> None:
    """Something before the thing, so that it is not seen; whatever else that hides is not known."""
    half = int(rng.integers(*_COVERS))
    _patch(picture, pixels[row], half, rng)
    for other, pixel in enumerate(pixels):
        if other != row and np.isfinite(pixel).all() and (np.abs(pixel - pixels[row]) < half + 12).all():
            pixels[other] = np.inf
    pixels[row] = np.nan


def _empty(picture: Image, pixels: Array, row: int, lesson: _Lesson, rng: np.random.Generator) -> None:
    """The place of the thing as it looks in a picture in which the thing is elsewhere."""
    half = int(rng.integers(*_COVERS))
    for other in rng.integers(len(lesson.pictures), size=8):
        there = lesson.pixels[other]
        away = np.abs(there - pixels[row]).max(1) > 2 * half
        if (away | np.isnan(there).any(1)).all() and not np.isinf(there).any():
            x, y = pixels[row].astype(int)
            box = slice(max(0, y - half), y + half), slice(max(0, x - half), x + half)
            picture[box] = lesson.pictures[other][box]
            for one, pixel in enumerate(pixels):
                if one != row and np.isfinite(pixel).all() and (np.abs(pixel - pixels[row]) < half + 12).all():
                    pixels[one] = np.inf
            pixels[row] = np.nan
            return


def _patch(picture: Image, middle: Array, half: int, rng: np.random.Generator) -> None:
    """A box or a disc of one colour."""
    height, width = picture.shape[:2]
    x, y = (round(float(value)) for value in middle)
    top, bottom, left, right = max(0, y - half), min(height, y + half), max(0, x - half), min(width, x + half)
    if bottom <= top or right <= left:
        return
    shape = (bottom - top, right - left)
    colour = rng.integers(0, 256, 3)
    if rng.random() < 0.3:
        colour = np.full(3, rng.integers(0, 256))
    filling = np.broadcast_to(colour, (*shape, 3))
    filling = np.clip(filling + rng.normal(0, 4, filling.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        inside = np.hypot(*np.ogrid[top - y : bottom - y, left - x : right - x]) <= half
        picture[top:bottom, left:right][inside] = filling[inside]
    else:
        picture[top:bottom, left:right] = filling


def _lit(square: Image, rng: np.random.Generator) -> Image:
    """In other light, by another sensor."""
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3)
    lit = square * gain.astype(np.float32) + np.float32(rng.uniform(-12, 12))
    lit += rng.standard_normal(lit.shape, np.float32) * np.float32(rng.uniform(0, 5))
    return np.clip(lit, 0, 255).astype(np.uint8)
