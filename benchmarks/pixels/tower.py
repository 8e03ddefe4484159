"""A small vision tower for the bench, where no other is given: a convolution network of transformers that is taught, on
simulated scenes of many looks, to have a channel that is high where a thing is.

It sees what a policy does: the same cameras, cropped alike. Taught on scenes by seeds that no training and no
evaluation draws. ``python -m benchmarks.pixels.tower FOLDER`` makes it, in minutes on one core.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from varl_common.poses import pose_to_matrix
from varl_common.vision.heads import spatial_softmax
from varl_common.vision.tower import normalized
from varl_robot_env.env.arm_env import ArmEnv, Looks

SEED = 987_000
TASKS = ("reach", "push")
SCENES = 1200  # of each task, each seen by two cameras
STEPS, BATCH, RATE = 1500, 48, 3e-3
THINGS = ("tool", "block", "target")


def scenes(task: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, side, side, 3) uint8, and the things' places in them (n, things, 2) in -1..1; NaN: out of view."""
    pictures: list[np.ndarray] = []
    places: list[list[np.ndarray]] = []
    rng = np.random.default_rng(seed)
    with closing(ArmEnv(task, looks=Looks(camera_move=0.0, camera_turn=0.0), observation="both")) as env:
        views = {name: view.crop for name, view in env.core._views.items()}
        while len(pictures) < 2 * count:
            env.reset(seed=int(rng.integers(SEED, SEED + 2**20)))
            direction = rng.uniform(-1, 1, 3).astype(np.float32)
            for step in range(12):
                env.step(np.clip(direction + rng.normal(0, 0.3, 3), -1, 1).astype(np.float32))
                if step % 3 < 2:
                    continue
                if rng.random() < 0.7:
                    env.arm.simulation.restyle(int(rng.integers(2**32)))
                state, seen = env.arm._state(), env.arm.pictures()
                observation = env.core._observe(state, env.core._situation(state), False)
                at = {**{name: pose[:3] for name, pose in state.entities.items()}, "tool": observation.state[:3]}
                for name, camera in zip(views, env.arm.simulation.cameras, strict=True):
                    pictures.append(observation.pictures[name].pixels)
                    size = seen[name].pixels.shape[1::-1]
                    places.append([_place(camera, at[thing], views[name], size) for thing in THINGS])
                if env.core._state is None:
                    break
    return np.array(pictures), np.array(places, np.float32)


def _place(camera: Any, position: Any, crop: Any, size: Any) -> np.ndarray:
    there = np.linalg.inv(pose_to_matrix(camera.pose)) @ np.append(position, 1.0)
    pixel = (camera.k @ there[:3])[:2] / there[2] / size  # shares of the whole picture
    left, top, right, bottom = crop
    found = 2 * (pixel - [left, top]) / [right - left, bottom - top] - 1
    return found if (np.abs(found) < 1).all() else np.full(2, np.nan)


def make_tower() -> Any:
    """The network, untaught: 16 to 24 channels at a quarter of the picture's sides."""
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    return ResNetModel(ResNetConfig(embedding_size=16, hidden_sizes=[24], depths=[2], layer_type="basic"))


def teach(pictures: np.ndarray, places: np.ndarray, steps: int = STEPS) -> tuple[Any, float]:
    """A tower, and its median error on the last tenth of the pictures, as a share of a picture's side."""
    tower = make_tower()
    head = nn.Linear(2 * 24, 2 * len(THINGS))
    learned = nn.ModuleList([tower, head])
    optimizer = torch.optim.AdamW(learned.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    rng = np.random.default_rng(0)
    kept = len(pictures) * 9 // 10

    def error(rows: np.ndarray) -> torch.Tensor:
        maps = tower(normalized(torch.from_numpy(pictures[rows]), [0.5] * 3, [0.5] * 3)).last_hidden_state
        found = head(spatial_softmax(maps)).view(len(rows), len(THINGS), 2)
        return found - torch.from_numpy(places[rows])

    for step in range(steps):
        off = error(rng.integers(0, kept, BATCH))
        loss = off[torch.isfinite(off)].abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step} of {steps}: error {loss.item() / 2:.4f} of a side", flush=True)
    tower.eval()
    with torch.inference_mode():
        rows = np.arange(kept, len(pictures))
        off = torch.cat([error(part) for part in np.array_split(rows, max(1, len(rows) // 64))])
    away = off.norm(dim=-1) / 2
    return tower, float(away[torch.isfinite(away)].median())


def main(folder: Path) -> None:
    parts = []
    for number, task in enumerate(TASKS):
        aside = folder.with_suffix(f".{task}.npz")
        if not aside.exists():
            pictures, places = scenes(task, SCENES, number)
            aside.parent.mkdir(parents=True, exist_ok=True)
            np.savez(aside, pictures=pictures, places=places)
        parts.append(np.load(aside))
        print(f"{task}: {len(parts[-1]['pictures'])} pictures", flush=True)
    order = np.random.default_rng(0).permutation(sum(len(part["pictures"]) for part in parts))
    pictures, places = (np.concatenate([part[name] for part in parts])[order] for name in ("pictures", "places"))
    tower, away = teach(pictures, places)
    print(f"median error {away:.4f} of a side", flush=True)
    tower.save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
