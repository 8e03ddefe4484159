"""A run that begins from another one's policy and replay, as from simulation on an arm of the same file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml

from varl_agent.deployment.trained_policy import trained_settings
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.replay.layout import Tag
from varl_agent.replay.store import ReplayStore
from varl_agent.sac.varl import VARL
from varl_agent.training import checkpoint
from varl_agent.training.checkpoint import Identity
from varl_agent.training.run_folder import RunFolder
from varl_agent.training.settings import LearnerSettings

_NAMES = ("task", "observation", "observation_names", "action_names")
_NUMBERS = ("observation_low", "observation_high", "action_scale", "control_period")
_NETWORKS = ("net_arch", "layer_norm")
_ROUNDING = 1e-6  # of a description's float32 numbers, written as text


def start_from(source: RunFolder, model: VARL, env: EnvDescription, settings: LearnerSettings) -> str:
    """Take over networks, temperature and transitions of the run in ``source``; words for the user.

    Its successful episodes are drawn from as one's own, and count in no rate: whether advice is released is decided
    by what happens here. What it was advised is left behind.

    Raises:
        VarlError: there is no such run, or its task, spaces or networks are others; nothing was taken then.
    """
    theirs = trained_settings(source)
    described = load_yaml(source.config)["env"]
    _refuse_other(source, described, env)
    for name in _NETWORKS:
        mine, other = getattr(settings.sac, name), getattr(theirs.sac, name)
        if mine != other:
            raise VarlError(f"{source.path} has sac.{name} {other}, this run {mine}; train with the same")
    seen = described.get("observation", "state")
    observations = (*described["observation_names"], *([] if seen == "state" else [seen]))
    names = observations, tuple(described["action_names"])
    path, state = checkpoint.load_newest(source.checkpoints, Identity(described["task"], described["robot"], *names))
    learned = state["model"]
    try:
        model.set_parameters(learned["parameters"], exact_match=True, device=model.device)
    except (KeyError, RuntimeError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise VarlError(f"{path} does not fit this run ({why}); train with the settings in {source.config}") from None
    with torch.no_grad():
        for name, value in learned["variables"].items():
            getattr(model, name).copy_(value)
    spans = learned["advice"]["successes"]["spans"].cpu().numpy()
    taken = _take_over(source, model, int(state["replay"]["count"]), spans)
    return f"starts from {source.name}, {path.stem}, and {taken} of its transitions"


def _refuse_other(source: RunFolder, theirs: dict[str, Any], mine: EnvDescription) -> None:
    """Raise a VarlError that names the first difference between two environments, with its numbers."""
    for name in _NAMES:
        here, there = _listed(getattr(mine, name)), _listed(theirs.get(name, "state"))
        if here != there:
            raise VarlError(
                f"{source.path} is of {name} {_words(there)}, this run of {_words(here)}; start from another"
            )
    for name in _NUMBERS:
        here, there = (np.atleast_1d(np.asarray(value, np.float64)) for value in (getattr(mine, name), theirs[name]))
        for i in np.flatnonzero(~np.isclose(here, there, rtol=0, atol=_ROUNDING)):
            what = f"{name} of {_axis(name, mine)[i]}" if len(here) > 1 else name
            raise VarlError(
                f"{source.path} has {what} {there[i]:g}, this run {here[i]:g}; start from a run with the same "
                "workspace, action_scale and control_period"
            )


def _axis(name: str, env: EnvDescription) -> list[str]:
    return list(env.observation_names if name.startswith("observation") else env.action_names)


def _listed(value: Any) -> Any:
    return value if isinstance(value, str) else list(value)


def _words(value: Any) -> str:
    return value if isinstance(value, str) else f"{len(value)} ({', '.join(value)})"


def _take_over(source: RunFolder, model: VARL, count: int, spans: np.ndarray) -> int:
    """Copy the newest transitions up to the row ``count`` that the checkpoint knows of; returns how many.

    ``spans``: (k, 3) first row, end and environment of each successful episode there.
    """
    replay = model.replay_buffer
    assert isinstance(replay, PersistentReplayBuffer)
    if replay.n_envs != 1:
        raise VarlError(f"start_from is for a run of one arm, not of {replay.n_envs}; begin with one")
    store = ReplayStore(source.replay, writable=False)
    try:
        if store.layout.row != replay.store.layout.row:
            raise VarlError(f"{source.replay} holds rows of another kind; start from a run of the same observations")
        each = replay.buffer_size // store.layout.n_envs
        times = np.arange(max(store.oldest, count - each), count)
        successful = []
        for env in range(store.layout.n_envs):
            rows = store.take(times, env)
            kept = (rows["tag"] != Tag.STAND_IN) & _finite(rows)
            place = replay.store.count + np.cumsum(kept)  # of the row after each
            for row in np.split(rows[kept], kept.sum()) if kept.any() else ():
                replay.store.append(row.copy(), {camera: _frames(store, camera, row) for camera in store.layout.frames})
            for begin, end, _ in spans[spans[:, 2] == env]:
                inside = (times >= begin) & (times < end)
                if inside.sum() == end - begin and kept[inside].all():
                    last = int(place[inside][-1])
                    successful.append((last - (end - begin), last, 0))
    finally:
        store.close()
    replay.load_state_dict(replay.state_dict())  # it follows its store
    model.successes.adopt(replay.store.count, np.array(successful, np.int64).reshape(-1, 3))
    return replay.store.count


def _frames(store: ReplayStore, camera: str, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    before, after = (store.frames(camera, row[f"{which}frame/{camera}"]) for which in ("", "next_"))
    return before, after


def _finite(rows: np.ndarray) -> np.ndarray:
    parts = (rows[name].reshape(len(rows), -1) for name in ("observation", "action", "next_observation", "reward"))
    return np.all([np.isfinite(part).all(axis=1) for part in parts], axis=0)
