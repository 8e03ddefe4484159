"""``varl train-classifier``: from labelled moments to a classifier of success, and a page of what it gets wrong."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from varl_common.arguments import Argument, whole_number
from varl_common.errors import VarlError
from varl_common.tool import run_tool
from varl_common.vision.classifier import write
from varl_common.vision.encoder import FrozenEncoder
from varl_common.vision.in_the_box import IN_THE_BOX
from varl_common.vision.tower import Tower

from varl_robot_env.success.moments import Label, read, read_layout
from varl_robot_env.success.page import write_page
from varl_robot_env.success.training import HEADS, Taught, teach

ARGUMENTS = (
    Argument("moments", "Folder of labelled moments, as varl collect leaves it."),
    Argument("out", "Folder of the classifier; a task's file names it: success: {classifier: FOLDER}."),
    Argument("tower", "Frozen vision tower: varl-sight, a vision model of transformers, or its folder.", IN_THE_BOX),
    Argument("layers", "So many of its first layers alone; 0: all.", "3", check=whole_number(0)),
    Argument("steps", "Steps by which each head learns.", "400", check=whole_number(1)),
)
PAGE = "mistakes.html"


def train_classifier(moments: Path, out: Path, tower: str = IN_THE_BOX, layers: int = 3, steps: int = 400) -> Taught:
    """Teach a classifier by ``moments``, and write it and its page to ``out``.

    Raises:
        VarlError: there are too few moments, or the tower is not to be had.
    """
    layout, rows = read_layout(moments), read(moments)
    looks = Tower(tower, layers)
    encoder = FrozenEncoder(looks, layout.cameras, layout.side, "maps")
    taught = teach(rows, encoder, list(layout.cameras), steps)
    about = asdict(layout) | {"tower": tower, "layers": layers, "fingerprint": looks.fingerprint, "members": HEADS}
    figures = {"threshold": taught.threshold, "false": taught.false, "missed": taught.missed, "moments": len(rows)}
    write(out, taught.heads, about | figures)
    write_page(out / PAGE, layout, rows, taught)
    return taught


def run() -> None:
    """The console script."""
    run_tool("train-classifier", "Teach a classifier of success by labelled moments.", ARGUMENTS, _train)


def _train(values: dict[str, str]) -> None:
    for name in ("moments", "out"):
        if not values[name]:
            raise VarlError(f"train-classifier needs {name}:=FOLDER; see varl train-classifier --show-args")
    moments, out = (Path(values[name]).expanduser() for name in ("moments", "out"))
    torch.set_num_threads(1)
    taught = train_classifier(moments, out, values["tower"], int(values["layers"]), int(values["steps"]))
    rows = read(moments)
    labels, episodes = rows["label"], len(np.unique(rows["episode"]))
    counted = ", ".join(f"{int((labels == kind).sum())} {kind.name.lower()}" for kind in Label)
    print(f"{len(labels)} moments of {episodes} episodes: {counted}")
    print(f"in episodes not seen: {taught.false:.1%} false successes, {taught.missed:.1%} missed")
    print(f"{out}: success from {taught.threshold:.2f} on; look at {out / PAGE}")
