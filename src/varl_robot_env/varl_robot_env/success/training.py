"""A classifier of success from labelled moments: small heads on a frozen tower's features, judged on other episodes.

The episodes are dealt into folds, and each head is taught without one of them: what the heads that never saw a fold say
of its moments is what they would say of new episodes. The threshold is chosen by these, and so are the figures. What
acts in the end is the mean of all heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits
from varl_common.errors import VarlError
from varl_common.host.progress import progress
from varl_common.vision.classifier import Heads
from varl_common.vision.encoder import FrozenEncoder

from varl_robot_env.success.moments import Label

FOLDS = 5
HEADS = 3 * FOLDS
"""Each fold is left out by three: what they say of it on their mean is nearly as calm as what acts in the end."""
PRECISION = 0.95  # of what is called success in episodes that a head has not seen
_COPIES = 5  # of each moment, moved and lit otherwise
_SHIFT = 3  # pixels
_BATCH, _RATE, _DECAY = 32, 5e-3, 0.05


@dataclass(frozen=True)
class Taught:
    """What came of it.

    Attributes:
        heads: what acts.
        threshold: certainty from which on a moment is called success.
        certainties: (n,) of each moment, by the head that was taught without its episode.
        false: share of the moments without success that are called success.
        missed: share of the successes that are not.
    """

    heads: Heads
    threshold: float
    certainties: NDArray[np.float64]
    false: float
    missed: float


def teach(rows: NDArray[Any], encoder: FrozenEncoder, cameras: list[str], steps: int) -> Taught:
    """Teach heads by moments ``rows``, in so many ``steps`` each.

    Raises:
        VarlError: there are too few moments of success or of failure, or too few episodes, to judge it by.
    """
    success = rows["label"] == Label.SUCCESS
    fold_of = _folds(rows["episode"], success)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    copies = []
    for row in progress(rows, "moments", len(rows)):
        pictures = _pictures(row, cameras)
        seen = [pictures, *(_changed(pictures, rng) for _ in range(_COPIES))]
        copies.append(np.stack([encoder(one).astype(np.float16) for one in seen]))
    maps = torch.from_numpy(np.stack(copies)).unflatten(2, (len(cameras), *encoder.shape))  # (moments, copies, ...)
    heads = Heads(encoder.shape[0], len(cameras), HEADS)
    heads.mean = maps[:, 0].float().mean((0, 1, 3, 4))
    heads.scale = maps[:, 0].float().std((0, 1, 3, 4)) + 1e-3
    wanted = torch.from_numpy(success.astype(np.float32))
    logits = np.zeros(len(rows))
    for member in progress(range(HEADS), "heads", HEADS):
        out = torch.from_numpy(fold_of == member % FOLDS)
        _fit(heads, member, maps[~out], wanted[~out], steps)
        with torch.inference_mode():
            logits[out] += heads.members[member](heads.scaled(maps[out, 0].float())).numpy()
    certainties = 1.0 / (1.0 + np.exp(-logits * FOLDS / HEADS))
    threshold = precise_threshold(certainties, success)
    called = certainties >= threshold
    heads.eval().requires_grad_(False)
    return Taught(heads, threshold, certainties, float(called[~success].mean()), float((~called[success]).mean()))


def precise_threshold(certainties: NDArray[np.float64], success: NDArray[np.bool_]) -> float:
    """The lowest threshold from which on at least ``PRECISION`` of what is called success is one; above .5.

    It lies in the middle between two moments, as those to come will not fall on one.
    """
    order = np.argsort(-certainties)
    right = np.cumsum(success[order]) / np.arange(1, len(order) + 1)
    fine = np.flatnonzero(right >= PRECISION)
    last = int(fine[-1]) if len(fine) else -1
    upper = certainties[order[last]] if last >= 0 else 1.0
    lower = certainties[order[last + 1]] if last + 1 < len(order) else 0.0
    return max(0.5, float((upper + lower) / 2))


def _folds(episodes: NDArray[Any], success: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Which fold each moment is in: whole episodes, those with success and those without dealt out alike."""
    found = np.unique(episodes)
    solved = np.array([success[episodes == episode].any() for episode in found])
    if success.sum() < FOLDS or (~success).sum() < FOLDS or solved.sum() < FOLDS:
        raise VarlError(
            f"{success.sum()} moments of success in {solved.sum()} episodes and {(~success).sum()} others are too few "
            f"to judge by; {FOLDS} of each are the least, and 200 moments a good number"
        )
    order = [*found[solved], *found[~solved]]
    dealt = {episode: number % FOLDS for number, episode in enumerate(order)}
    return np.array([dealt[episode] for episode in episodes])


def _fit(heads: Heads, member: int, maps: torch.Tensor, wanted: torch.Tensor, steps: int) -> None:
    head = heads.members[member].train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, steps)
    solved, others = (torch.nonzero(wanted == which)[:, 0] for which in (1, 0))
    for _ in range(steps):  # as many of either in each batch
        halves = [rows[torch.randint(len(rows), (_BATCH // 2,))] for rows in (solved, others)]
        batch = torch.cat(halves)
        seen = heads.scaled(maps[batch, torch.randint(maps.shape[1], (_BATCH,))].float())
        smoothed = 0.98 * wanted[batch] + 0.01
        loss = binary_cross_entropy_with_logits(head(seen), smoothed)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _pictures(row: Any, cameras: list[str]) -> dict[str, NDArray[np.uint8]]:
    return dict(zip(cameras, row["pictures"], strict=True))


def _changed(pictures: dict[str, NDArray[np.uint8]], rng: np.random.Generator) -> dict[str, NDArray[np.uint8]]:
    """Each moved by some pixels and lit otherwise, with a sensor's noise."""
    changed = {}
    light = rng.uniform(0.85, 1.15) * rng.uniform(0.97, 1.03, 3)
    for camera, picture in pictures.items():
        x, y = rng.integers(0, 2 * _SHIFT + 1, 2)
        side = picture.shape[0]
        padded = np.pad(picture, ((_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), mode="edge")
        moved = padded[y : y + side, x : x + side].astype(np.float32)
        noisy = moved * light + rng.normal(0.0, 2.0, moved.shape)
        changed[camera] = np.clip(noisy, 0, 255).astype(np.uint8)
    return changed
