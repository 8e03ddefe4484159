"""The policy that a run has learned, to be played or exported: without its replay, its critics' past or its advisor."""

from __future__ import annotations

from dataclasses import dataclass

from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml

from varl_agent.sac.varl import VARL
from varl_agent.training import checkpoint
from varl_agent.training.checkpoint import Identity
from varl_agent.training.run_folder import RunFolder
from varl_agent.training.settings import LearnerSettings, make_model
from varl_agent.vec_env.parallel_env import ParallelEnv


@dataclass(frozen=True)
class TrainedPolicy:
    """A policy, the name of the checkpoint that it is from, and the environment step of that."""

    model: VARL
    checkpoint: str
    step: int


def trained_settings(folder: RunFolder) -> LearnerSettings:
    """How the run in ``folder`` was trained.

    Raises:
        VarlError: there is no run, or its config.yaml is of another version.
    """
    if not folder.config.is_file():
        raise VarlError(f"{folder.path} holds no run (config.yaml is missing); train one first, or name another")
    return LearnerSettings.from_dict(load_yaml(folder.config).get("learner", {}), str(folder.config))


def load_policy(folder: RunFolder, env: ParallelEnv, identity: Identity) -> TrainedPolicy:
    """The newest policy of a run, for ``env`` of which ``identity`` says what it is.

    Raises:
        VarlError: there is no checkpoint, or it is of another task, robot or version.
    """
    settings = trained_settings(folder)
    path, state = checkpoint.load_newest(folder.checkpoints, identity)
    tiny = settings.model_copy(update={"sac": settings.sac.model_copy(update={"buffer_size": 1, "device": "cpu"})})
    model = make_model(tiny, env, advisor=None, lock_step=True, replay=None)
    model.policy.load_state_dict(state["model"]["parameters"]["policy"])
    return TrainedPolicy(model, path.stem, state["model"]["counters"]["num_timesteps"])
