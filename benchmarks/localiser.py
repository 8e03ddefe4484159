"""How well a localiser that a model's pointings taught finds things again, on pictures that it was not taught on.

``make bench-sight`` runs it; by itself, ``python -m benchmarks.localiser``. Each scene has a look of its own (camera,
light, colours, textures, clutter) with patterns and shapes that none for training has. An arm acts in it, at random and
by a plan with noise. The pictures of one stretch are pointed at, right but for a model's noise; the localiser is judged
on those of another, of which a fifth and more hide the thing or lack it. Beside the picture it is given nothing: the
place is where the line of sight meets the height of the thing's centre on the table.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from varl_common.host.progress import progress
from varl_common.poses import pose_to_matrix
from varl_common.task_plans import PLANS
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.env.arm_env import ArmEnv, Looks
from varl_robot_env.headless_mujoco import mujoco
from varl_robot_env.perception.camera_model import CameraModel
from varl_robot_env.perception.lifting import place_at
from varl_robot_env.perception.localiser import Localiser, Pointing
from varl_robot_env.perception.teaching import teach

TASK, THINGS = "push", ("block", "target")
SCENES = tuple(range(201, 207))
TAUGHT, JUDGED = 200, 170
NOISE = 0.02
"""Share of the width by which a model points wrong: its median."""
HIDDEN_TAUGHT, HIDDEN_JUDGED = 0.1, 0.2
"""Shares of the pictures that hide a thing, or lack it; some more are hidden by the arm and by clutter."""
_MEDIAN_LENGTH = 1.1774  # of a normal vector in the plane, in its standard deviations
SEEN, UNSEEN = 0.5, 0.1
"""Shares of a thing's own pixels: at least so much counts as visible, at most so much as hidden."""
_POINTED_AT = 0.3  # of its pixels: a model sees it
FAR = 0.05  # m: a place farther off than this is wrong
_LOOKS, _MARGIN = 20, 8.0  # that are tried for a camera; pixels that the workspace keeps from the picture's edge
_EVERY = 8  # control periods between two pictures
_WIDTH, _HEIGHT = 320, 240
TABLE = 0.02
"""Metres: height of the centre of either thing."""
_THING_GROUP = 5  # of MuJoCo's geoms: one that is drawn alone
_OCCLUDERS, _BYSTANDER = dict(zip(THINGS, ("clutter0", "clutter1"), strict=True)), "clutter2"
_RESULTS = Path(__file__).parents[1] / "runs" / "bench-localiser"


@dataclass(frozen=True)
class Picture:
    """What a camera saw, and the truth about each thing."""

    rgb: NDArray[np.uint8]
    pixels: dict[str, NDArray[np.float64]]
    places: dict[str, NDArray[np.float64]]
    shares: dict[str, float]
    """Of its pixels in the picture those that are seen; 0 where its middle is outside of it."""
    absent: tuple[str, ...]
    """Things that are not in the scene at all."""


class Scene:
    """A task's scene in one look, acted in by an arm.

    Attributes:
        env, simulation: of the arm.
        camera, lens: (4, 4) where the camera is by which it is seen, and how that sees.
    """

    def __init__(self, seed: int, held_out: bool, task: str = TASK) -> None:
        self.env = ArmEnv(task, looks=Looks(held_out=held_out, seed=seed))
        self._rng = np.random.default_rng(seed)
        self.env.reset(seed=seed)
        self.simulation = self.env.arm.simulation
        self._aim(seed)
        model = self.simulation.model
        self._renderer = mujoco.Renderer(model, _HEIGHT, _WIDTH)
        self.see_by(0)
        self._alone = mujoco.MjvOption()
        self._alone.geomgroup[:] = 0
        self._alone.geomgroup[_THING_GROUP] = 1

    def see_by(self, number: int) -> None:
        """From now on by the robot's camera of that ``number``."""
        shown = self.simulation.cameras[number]
        self._shown, self.camera = shown.name, pose_to_matrix(shown.pose)
        self.lens = CameraModel(_WIDTH, _HEIGHT, shown.k)

    def _aim(self, seed: int) -> None:
        """The first look from ``seed`` on whose camera has all of the workspace in its picture, as a person sets it."""
        safety = RobotConfig.from_yaml(config_file("robots", "varl_arm")).safety
        low, high = safety.workspace_low, safety.workspace_high
        corners = np.array([[x, y, TABLE] for x in (low[0], high[0]) for y in (low[1], high[1])])
        for look in range(seed, seed + _LOOKS * 1000, 1000):
            self.env.restyle(look)
            camera = self.simulation.camera
            lens, pose = CameraModel(_WIDTH, _HEIGHT, camera.k), pose_to_matrix(camera.pose)
            pixels = _project(lens, pose, corners)
            if (pixels > _MARGIN).all() and (pixels < np.array([_WIDTH, _HEIGHT]) - _MARGIN).all():
                return
        raise RuntimeError(f"no look from seed {seed} on has the workspace in its picture")

    def pictures(self, count: int, hidden: float) -> Iterator[Picture]:
        """``count`` pictures of new episodes; each thing is hidden or absent in the share ``hidden`` of them."""
        taken = 0
        while taken < count:
            observation, _ = self.env.reset(seed=int(self._rng.integers(2**31)))
            by_plan, ended, step = self._rng.random() < 0.5, False, 0
            while not ended and taken < count:
                action = self._planned(observation) if by_plan else self._rng.uniform(-1, 1, 3).astype(np.float32)
                observation, _, terminated, truncated, _ = self.env.step(action)
                ended, step = terminated or truncated, step + 1
                if step % _EVERY == 0:
                    yield self._picture(hidden)
                    taken += 1

    def seen(self, data: Any, rng: np.random.Generator) -> NDArray[np.uint8]:
        """What its camera sees of ``data``, with noise from ``rng``."""
        self._renderer.update_scene(data, self._shown)
        return _noisy(self._renderer.render(), rng)

    def close(self) -> None:
        """Free the renderers."""
        self._renderer.close()
        self.env.close()

    def _planned(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        action = PLANS[TASK].actions(observation[None], self.env.description)[0]
        return np.clip(action + self._rng.normal(0.0, 0.4, len(action)), -1, 1).astype(np.float32)

    def _picture(self, hidden: float) -> Picture:
        model, data = self.simulation.model, self.simulation.snapshot()
        places = {name: pose[:3].copy() for name, pose in self.simulation.entities().items()}
        kept = {geom: self._geom(geom) for geom in (*_OCCLUDERS.values(), _BYSTANDER)}
        if self._rng.random() < 0.3:
            self._put(_BYSTANDER, self._rng.uniform([0.15, -0.35, 0.03], [0.65, 0.35, 0.15]), 0.03)
        gone = []
        for name in THINGS:
            if self._rng.random() >= hidden:
                continue
            if self._rng.random() < 0.5:
                _send_away(model, data, name)
                gone.append(name)
            else:
                way = self.camera[:3, 3] - places[name]
                self._put(_OCCLUDERS[name], places[name] + self._rng.uniform(0.15, 0.5) * way, 0.04)
        mujoco.mj_forward(model, data)
        shares = {name: 0.0 if name in gone else self._share(data, name) for name in THINGS}
        rgb = self.seen(data, self._rng)
        for geom, looked in kept.items():
            self._restore(geom, looked)
        pixels = {name: _project(self.lens, self.camera, place[None])[0] for name, place in places.items()}
        for name, pixel in pixels.items():
            if not ((pixel >= 0) & (pixel < [_WIDTH, _HEIGHT])).all():
                shares[name] = 0.0
        return Picture(rgb, pixels, places, shares, tuple(gone))

    def _geom(self, name: str) -> tuple[Any, ...]:
        model, one = self.simulation.model, self.simulation.model.geom(name).id
        return int(model.geom_type[one]), *(a[one].copy() for a in (model.geom_size, model.geom_pos, model.geom_rgba))

    def _restore(self, name: str, looked: tuple[Any, ...]) -> None:
        model, one = self.simulation.model, self.simulation.model.geom(name).id
        for array, value in zip(
            (model.geom_type, model.geom_size, model.geom_pos, model.geom_rgba), looked, strict=True
        ):
            array[one] = value

    def _put(self, name: str, place: NDArray[np.float64], size: float) -> None:
        """A hand, a box, a person's sleeve: something that comes and goes."""
        model, rng = self.simulation.model, self._rng
        one, kinds = model.geom(name).id, (mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_ELLIPSOID)
        model.geom_type[one] = kinds[int(rng.integers(2))]
        model.geom_size[one] = size * rng.uniform(0.9, 1.5, 3)
        colour = np.clip(rng.uniform(0.1, 0.9) + rng.uniform(-0.15, 0.15, 3), 0, 1)
        model.geom_pos[one], model.geom_rgba[one] = place, [*colour, 1.0]
        model.geom_rbound[one] = 0.2

    def _share(self, data: Any, name: str) -> float:
        model, renderer = self.simulation.model, self._renderer
        geom = model.geom(name).id
        group = int(model.geom_group[geom])
        renderer.enable_segmentation_rendering()
        renderer.update_scene(data, self._shown)
        seen = int((renderer.render()[..., 0] == geom).sum())
        model.geom_group[geom] = _THING_GROUP
        renderer.update_scene(data, self._shown, self._alone)
        whole = int((renderer.render()[..., 0] == geom).sum())
        model.geom_group[geom] = group
        renderer.disable_segmentation_rendering()
        return seen / whole if whole else 0.0


def _noisy(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """As a camera of little light takes it: its exposure varies, and so does each pixel."""
    gain = rng.uniform(0.93, 1.07)
    return np.clip(gain * rgb + rng.normal(0.0, 3.0, rgb.shape), 0, 255).astype(np.uint8)


def _project(lens: CameraModel, camera: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) pixels of ``places`` (n, 3) m, seen by a camera that stands at ``camera`` (4, 4)."""
    return lens.project((places - camera[:3, 3]) @ camera[:3, :3])


def _send_away(model: Any, data: Any, name: str) -> None:
    body = model.body(name).id
    if model.body_mocapid[body] >= 0:
        data.mocap_pos[model.body_mocapid[body]] = [0.0, 0.0, -3.0]
    else:
        data.qpos[model.jnt_qposadr[model.body_jntadr[body]] + 2] = -3.0


def pointed(pictures: list[Picture], rng: np.random.Generator, noise: float) -> list[Pointing]:
    """What a model says of them that is right but for ``noise``, the median share of the width that it is off."""
    spread = noise * _WIDTH / _MEDIAN_LENGTH
    return [
        Pointing(
            one.rgb,
            {
                name: np.clip(one.pixels[name] + rng.normal(0.0, spread, 2), 0, [_WIDTH - 1, _HEIGHT - 1])
                if one.shares[name] >= _POINTED_AT
                else None
                for name in THINGS
            },
        )
        for one in pictures
    ]


def judge(localiser: Localiser, scene: Scene, pictures: list[Picture]) -> list[dict[str, Any]]:
    """For each picture and thing: the share that is visible, and the error, m; NaN where the localiser is lost."""
    rows = []
    for picture in pictures:
        found = localiser.find(picture.rgb)
        for name in THINGS:
            error = np.nan
            if name in found:
                place = place_at(found[name].pixel, None, scene.lens, scene.camera, 0.0, TABLE)
                error = np.inf if place is None else float(np.linalg.norm(place - picture.places[name]))
                # Of a thing that is not there at all, any answer is wrong, also one where it was.
                error = np.inf if name in picture.absent else error
            rows.append({"thing": name, "share": picture.shares[name], "error": error})
    return rows


def measure_scene(seed: int, noise: float) -> dict[str, Any]:
    """One scene: the rows of :func:`judge`, the seconds that teaching takes, and pictures a second."""
    with closing(Scene(seed, held_out=True)) as scene:
        pointings = pointed(list(scene.pictures(TAUGHT, HIDDEN_TAUGHT)), np.random.default_rng(seed), noise)
        begun = time.process_time()
        localiser = teach(THINGS, pointings)
        assert localiser is not None
        taught_in = time.process_time() - begun
        pictures = list(scene.pictures(JUDGED, HIDDEN_JUDGED))
        begun = time.process_time()
        rows = judge(localiser, scene, pictures)
        hz = len(pictures) / (time.process_time() - begun)
    return {"rows": rows, "seconds_to_teach": taught_in, "hz": hz}


def summary(scenes: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all scenes together. Times are seconds of one core."""
    rows = [row for scene in scenes for row in scene["rows"]]
    errors, shares = np.array([row["error"] for row in rows]), np.array([row["share"] for row in rows])
    visible, answered = shares >= SEEN, ~np.isnan(errors)
    return {
        "localiser_mm": round(1000 * float(np.median(errors[visible & answered])), 1),
        "localiser_wrong": round(float((answered & (errors > FAR)).mean()), 4),
        "localiser_lost": round(float((~answered)[visible].mean()), 4),
        "localiser_hz": round(float(np.median([scene["hz"] for scene in scenes])), 1),
        "localiser_frames": len(rows) // len(THINGS),
        "localiser_hidden": round(float((shares <= UNSEEN).mean()), 3),
        "localiser_pointings": TAUGHT,
        "localiser_seconds_to_teach": round(float(max(scene["seconds_to_teach"] for scene in scenes)), 1),
    }


def measure(noise: float = NOISE) -> dict[str, Any]:
    """All figures.

    What was measured of a scene is kept in ``runs/bench-localiser``, so that a run that was cut off goes on; empty that
    to measure anew.
    """
    scenes = []
    for seed in progress(SCENES, "scenes", len(SCENES)):
        file = _RESULTS / f"noise{noise:g}-scene{seed}.json"
        if not file.exists():
            scene = measure_scene(seed, noise)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(scene), encoding="utf-8")
            print(f"localiser, scene {seed}: {summary([scene])}", file=sys.stderr, flush=True)
        scenes.append(json.loads(file.read_text(encoding="utf-8")))
    return summary(scenes)


if __name__ == "__main__":
    os.environ.setdefault("MUJOCO_GL", "egl")
    figures = json.dumps({"noise": NOISE, "scenes": SCENES} | measure(), indent=1)
    (Path(__file__).parent / "results" / "localiser.json").write_text(figures + "\n", encoding="utf-8")
    print(figures)
