"""A run's policy as a file for where there is no VARL: torch.export's or ONNX, the scaling of its inputs inside."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box
from torch import nn
from varl_common.arguments import Argument
from varl_common.errors import VarlError
from varl_common.files import atomic_write
from varl_common.tool import run_tool
from varl_common.yaml_file import load_yaml

from varl_agent.deployment.trained_policy import load_policy, trained_settings
from varl_agent.sac.varl import VARL
from varl_agent.training.checkpoint import Identity
from varl_agent.training.run_folder import RunFolder
from varl_agent.vec_env.parallel_env import ParallelEnv

FORMATS = {"torch": "pt2", "onnx": "onnx"}
TOLERANCE = 1e-5  # of an action in [-1, 1]: float32, computed in another order
STATES = 1000  # on which the file and the policy are compared
_TOLD = (
    *("task", "robot", "instruction", "base_frame", "control_period"),
    *("observation_names", "observation_units", "observation_low", "observation_high"),
    *("action_names", "action_units", "action_scale"),
)
_CHUNK = 256  # states at a time: the file must take any number
ARGUMENTS = (
    Argument("run", "Folder of the run whose policy is exported.", "runs/latest"),
    Argument("format", "Of the file: torch.export's program, or ONNX.", "torch", tuple(FORMATS)),
    Argument("out", "The file; empty: policy.pt2 or policy.onnx in the run's folder."),
)


class MeanAction(nn.Module):
    """The deterministic policy as one module: observations (n, size) as the env node gives them, in their units, to
    actions (n, axes) in [-1, 1]."""

    def __init__(self, model: VARL) -> None:
        super().__init__()
        actor = model.actor
        self.layers = nn.Sequential(actor.features_extractor, actor.latent_pi, actor.mu, nn.Tanh())

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """(n, size) to (n, axes)."""
        action: torch.Tensor = self.layers(observation)
        return action


def export_policy(run: str | Path, file_format: str = "torch", out: str | Path = "") -> tuple[Path, float]:
    """Write a run's newest policy, read it back and compare; the file, and the greatest difference of an action.

    Beside it, with the suffix ``.json``, stands what goes in and comes out: names, units, bounds, the control period.

    Raises:
        VarlError: there is no such run, it is not from a state, a package is missing, or the file acts otherwise.
    """
    folder = RunFolder(run)
    model, about = _policy(folder)
    path = Path(out).expanduser() if out else folder.path / f"policy.{FORMATS[file_format]}"
    module = MeanAction(model).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as aside:
        play = (_write_onnx if file_format == "onnx" else _write_torch)(module, aside)
        states = _states(model.observation_space)
        wanted, _ = model.predict(states, deterministic=True)
        played = np.concatenate([play(part) for part in np.array_split(states, range(_CHUNK, STATES, _CHUNK))])
        difference = float(np.abs(played - wanted).max())
        if not difference <= TOLERANCE:
            raise VarlError(
                f"the exported policy acts otherwise, by {difference:g}; report this with your torch's version"
            )
    with atomic_write(path.with_suffix(".json")) as aside:
        aside.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return path, difference


def _policy(folder: RunFolder) -> tuple[VARL, dict[str, Any]]:
    """The newest policy, and what it is told and says, by the run's own description."""
    trained_settings(folder)
    env = load_yaml(folder.config)["env"]
    names = tuple(env["observation_names"]), tuple(env["action_names"])
    low, high = (np.array(env[f"observation_{end}"], np.float32) for end in ("low", "high"))
    spaces = ParallelEnv([_Spaces(Box(low, high), Box(-1, 1, (len(names[1]),)))], 0)
    identity = Identity(env["task"], env["robot"], *names)
    try:
        loaded = load_policy(folder, spaces, identity)
    except RuntimeError as error:
        raise VarlError(f"{folder.path} cannot be exported: its policy is not one from a state ({error})") from None
    about = {name: env[name] for name in _TOLD} | {"checkpoint": loaded.checkpoint, "step": loaded.step}
    return loaded.model, about


class _Spaces(gym.Env[Any, Any]):
    """The spaces of an environment that is not there."""

    def __init__(self, observation: Box, action: Box) -> None:
        self.observation_space, self.action_space = observation, action


def _states(space: Any) -> np.ndarray:
    """(STATES, size): all over the bounds, and a little beyond them."""
    low, high = (
        np.nan_to_num(bound, posinf=10.0, neginf=-10.0).astype(np.float64) for bound in (space.low, space.high)
    )
    share = np.random.default_rng(0).uniform(-0.1, 1.1, (STATES, *space.shape))
    return (low + share * (high - low)).astype(np.float32)


def _write_torch(module: nn.Module, path: Path) -> Any:
    size = int(module.layers[0].features_dim)  # type: ignore[index, union-attr]
    batch = torch.export.Dim("n")
    program = torch.export.export(module, (torch.zeros(2, size),), dynamic_shapes=({0: batch},))
    with path.open("wb") as file:
        torch.export.save(program, file)
    with path.open("rb") as file:
        again = torch.export.load(file).module()
    return lambda states: again(torch.from_numpy(states)).detach().numpy()


def _write_onnx(module: nn.Module, path: Path) -> Any:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter wants it)
    except ImportError as error:
        raise VarlError(f"format:=onnx needs {error.name}: pip install onnx onnxscript onnxruntime") from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of a torchvision that nobody needs
    size = int(module.layers[0].features_dim)  # type: ignore[index, union-attr]
    torch.onnx.export(
        module,
        (torch.zeros(2, size),),
        path,
        input_names=["observation"],
        output_names=["action"],
        dynamic_shapes=({0: torch.export.Dim("n")},),
        external_data=False,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda states: session.run(["action"], {"observation": states})[0]


def run() -> None:
    """The console script."""
    run_tool("export", "Write a run's policy as a file that needs no VARL.", ARGUMENTS, _export)


def _export(values: dict[str, str]) -> None:
    path, difference = export_policy(values["run"], values["format"], values["out"])
    words = f"acts as the policy on {STATES} states to {difference:.1g}"
    print(f"{path} ({path.stat().st_size / 1000:.0f} kB): {words}; {path.with_suffix('.json').name} says what goes in")
