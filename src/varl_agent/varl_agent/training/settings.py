"""The learner's settings: config/agent.yaml and what the launch arguments add, as one strict model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator
from varl_common.config import Config

from varl_agent.advice.messages import Advisor
from varl_agent.pixels.encoding import EncoderSettings, kept_pictures, policy_of
from varl_agent.replay.buffer import PersistentReplayBuffer
from varl_agent.sac.presets import preset
from varl_agent.sac.varl import VARL
from varl_agent.training.learning import ConcurrentLearning, Learning
from varl_agent.vec_env.parallel_env import ParallelEnv


class SacSettings(Config):
    """Soft Actor-Critic's own."""

    learning_rate: PositiveFloat = Field(description="Adam's, of actor, critics and temperature")
    gamma: float = Field(description="discount per step", gt=0, le=1)
    tau: float = Field(description="share of the critics that their targets take over per update", gt=0, le=1)
    batch_size: PositiveInt = Field(description="transitions per update")
    buffer_size: PositiveInt = Field(description="transitions that the replay holds")
    learning_starts: NonNegativeInt = Field(description="steps of random actions before the first update")
    ent_coef: str = Field(description="temperature: 'auto', 'auto_<first value>' or a fixed number")
    net_arch: list[PositiveInt] = Field(description="hidden units per layer of actor and critics", min_length=1)
    layer_norm: bool = Field(description="LayerNorm in the critics")
    utd: PositiveFloat = Field(description="updates per environment step")
    max_grad_norm: NonNegativeFloat = Field(description="norm to which each gradient is clipped; 0: never")
    backlog: PositiveInt = Field(description="real time: updates that learning may lag before the arm waits at rest")
    update: Literal["auto", "autograd", "fast"] = Field(description="how updates are computed")
    bf16: bool = Field(description="matrix products in bfloat16, on a GPU")
    device: str = Field(description="where: cpu, cuda or auto")

    @field_validator("ent_coef")
    @classmethod
    def _is_a_temperature(cls, value: str) -> str:
        if not re.fullmatch(r"auto|(auto_)?\d+(\.\d+)?(e-?\d+)?", value):
            raise ValueError("expected 'auto', 'auto_<first value>' or a number")
        return value


class AdviceSettings(Config):
    """When to ask, what to show, and how the answers shape the actor."""

    trigger: list[PositiveInt] = Field(description="environment steps at which to ask")
    states_per_query: PositiveInt = Field(description="transitions shown at a time")
    selection: Literal["recent", "spread", "uncertain"] = Field(description="which transitions")
    gate: str = Field(description="where advice still pulls")
    guidance_weight: NonNegativeFloat = Field(description="lambda: weight of the advice in the actor's loss")
    guidance_batch_size: PositiveInt = Field(description="advised or imitated states per update")
    cutoff: Literal["hard", "linear", "adaptive"] = Field(description="how guidance ends")
    cutoff_step: NonNegativeInt = Field(description="N_s: step at which it ends (adaptive: at the latest); 0: the last")
    cutoff_decay: NonNegativeInt = Field(description="steps over which it fades")
    act: float = Field(description="share of episodes in which plans act, while advice guides; 0: never", ge=0, le=1)
    success_fraction: float = Field(description="share of each batch from successful episodes", ge=0, lt=1)
    imitation_weight: NonNegativeFloat = Field(
        description="weight of one's own successful episodes in the actor's loss, once advice is released; 0: none"
    )
    delay: NonNegativeInt = Field(description="lock-step: steps after a question at which its answer is taken in")
    deadline: PositiveFloat = Field(description="seconds an answer may take")


class LearnerSettings(Config):
    """All of it."""

    run_dir: str = Field(description="folder of the run, absolute")
    seed: NonNegativeInt = Field(0, description="of networks, exploration and scenes")
    steps: PositiveInt = Field(description="environment steps to train for")
    resume: bool = Field(False, description="go on from run_dir's newest checkpoint")
    demonstrations: str = Field("", description="folder of a Minari dataset to start the replay with; empty: none")
    start_from: str = Field("", description="run whose policy and replay this one begins with; empty: none")
    advisor: str = Field("none", description="who is asked, as launched; none: nobody")
    recipe: Literal["varl", "paper", "sac"] = Field(
        "varl", description="varl: as below; paper, sac: what varl_agent.sac.presets says in its place"
    )
    envs: list[str] = Field(["env"], description="names of the env nodes, with their namespaces", min_length=1)
    evaluate_every: NonNegativeInt = Field(description="steps between two evaluations; 0: none before the end")
    evaluation_episodes: PositiveInt = Field(description="episodes of an evaluation")
    final_episodes: PositiveInt = Field(description="episodes of the evaluation at the end")
    filmed_episodes: NonNegativeInt = Field(description="episodes in the pictures of the trained policy")
    checkpoint_every: PositiveInt = Field(description="steps between two checkpoints")
    keep_checkpoints: PositiveInt = Field(description="newest ones that are kept")
    patience: PositiveFloat = Field(description="seconds to wait for an env node and its robot")
    encoder: EncoderSettings
    sac: SacSettings
    advice: AdviceSettings

    @field_validator("envs")
    @classmethod
    def _are_several(cls, envs: list[str]) -> list[str]:
        if twice := [env for env in envs if envs.count(env) > 1]:
            raise ValueError(f"{twice[0]} is named twice; an arm takes part once")
        if not all(env.strip() for env in envs):
            raise ValueError("an env node's name is empty; it is env, or namespace/env")
        return envs


def make_model(
    settings: LearnerSettings, env: ParallelEnv, advisor: Advisor | None, lock_step: bool, replay: Path | None
) -> VARL:
    """The agent, fresh; its transitions in the folder ``replay``, or in memory where None."""
    sac, advice = settings.sac, settings.advice
    recipe = preset(settings.recipe)
    nets = {"net_arch": list(sac.net_arch), "layer_norm": sac.layer_norm, **recipe.get("policy_kwargs", {})}
    policy, seeing = policy_of(env.envs[0], settings.encoder, nets.get("scaled_inputs", True))
    arguments: dict[str, Any] = {
        "learning_rate": sac.learning_rate,
        "gamma": sac.gamma,
        "tau": sac.tau,
        "batch_size": sac.batch_size,
        "learning_starts": sac.learning_starts,
        "ent_coef": sac.ent_coef if "auto" in sac.ent_coef else float(sac.ent_coef),
        "max_grad_norm": sac.max_grad_norm or None,
        "trigger": advice.trigger,
        "states_per_query": advice.states_per_query,
        "selection": advice.selection,
        "gate": advice.gate,
        "guidance_weight": advice.guidance_weight,
        "guidance_batch_size": advice.guidance_batch_size,
        "cutoff": advice.cutoff,
        "cutoff_step": advice.cutoff_step or settings.steps,
        "cutoff_decay": advice.cutoff_decay,
        "act": advice.act,
        "success_fraction": advice.success_fraction,
        "imitation_weight": advice.imitation_weight,
        **recipe,
        "policy_kwargs": {**nets, **seeing},  # whatever the recipe, what is hidden stays so
    }
    if settings.start_from:
        arguments["learning_starts"] = 0  # it has a policy already
    kept = {"folder": replay, "pictures": kept_pictures(env.envs[0], settings.encoder)}
    return VARL(
        policy,
        env,
        **arguments,
        buffer_size=sac.buffer_size,
        replay_buffer_class=PersistentReplayBuffer if replay else None,
        replay_buffer_kwargs=kept if replay else None,
        update=sac.update,
        bf16=sac.bf16,
        device=sac.device,
        seed=settings.seed,
        advisor=advisor,
        advice_delay=advice.delay if lock_step else None,
        advice_deadline=advice.deadline,
    )


def make_learning(settings: LearnerSettings, model: VARL, stopping: Any, lock_step: bool) -> Learning:
    """Alternating where time stands still between steps, else beside acting."""
    if lock_step:
        return Learning(model, settings.sac.utd, stopping)
    return ConcurrentLearning(model, settings.sac.utd, stopping, settings.sac.backlog)
