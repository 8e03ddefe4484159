"""The backend ``scripted``: a stand-in for a VLM that reads the geometry off the state, with a set rate of errors."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from varl_common.advice_status import AdviceStatus
from varl_common.config import Config
from varl_common.env_description import EnvDescription
from varl_common.plan import Phase, Plan
from varl_common.task_plans import PLANS

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.action_words import GRIPPER_WORDS, encode, words_of
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.types import GRIPPER, NoAdvice


class ScriptedBackend:
    """Answers from a fixed plan per task; each axis is wrong with probability ``error_rate``.

    The errors depend on seed and content alone: the same question always gets the same answer.
    """

    class Settings(Config):
        """Section ``scripted``."""

        error_rate: float = Field(default=0.1, ge=0.0, le=1.0, description="probability that an axis is wrong")
        seed: int = Field(default=0, ge=0, description="of the errors")

    label = "scripted (stand-in for a VLM)"
    sees: ClassVar[bool] = False
    identity = ""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def reply(self, question: Question, sample: int) -> Reply:
        """Answer in the words that a model would use."""
        env, plan = question.env, scripted_plan(question.env)
        if question.strategy == "point":
            raise NoAdvice(AdviceStatus.REFUSED, "the scripted advisor does not point: use strategy direction or plan")
        body: dict[str, Any] = {"id": question.id, "reason": f"scripted: {plan.reason}", "can_tell": True}
        rng = self._rng(question, sample)
        if question.strategy == "plan":
            body["phases"] = [self._phase(phase, env, rng) for phase in plan.phases]
        else:
            action = plan.actions(question.state.state[None], env)[0]
            body |= {name: self._word(name, said, rng) for name, said in encode(action, env.action_names).items()}
        return Reply(json.dumps(body))

    async def close(self) -> None:
        """It holds nothing."""

    def _rng(self, question: Question, sample: int) -> np.random.Generator:
        told = f"{self._settings.seed}/{sample}/{question.env.task}/{question.strategy}".encode()
        transition = question.state
        digest = hashlib.sha256(told + transition.state.tobytes() + transition.action.tobytes()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))

    def _word(self, name: str, right: str, rng: np.random.Generator) -> str:
        """``right``, or at the rate of errors a word of another direction."""
        values = words_of(name)
        wrong = [word for word, value in values.items() if np.sign(value) != np.sign(values[right])]
        return str(rng.choice(wrong)) if rng.random() < self._settings.error_rate else right

    def _phase(self, phase: Phase, env: EnvDescription, rng: np.random.Generator) -> dict[str, Any]:
        """A phase in the words of the answer; at the rate of errors its offset is off by the block's size."""
        off = np.where(rng.random(3) < self._settings.error_rate, rng.choice([-0.04, 0.04], 3), 0.0)
        x, y, z = (round(float(value), 4) for value in np.asarray(phase.offset) + off)
        words = {value: word for word, value in GRIPPER_WORDS.items()}
        gripper = words[phase.gripper] if GRIPPER in env.action_names else "hold"
        return {
            "target": phase.target,
            "x": x,
            "y": y,
            "z": z,
            "opposite": phase.opposite,
            "standoff": phase.standoff,
            "gripper": gripper,
            "tolerance": phase.tolerance,
        }


def scripted_plan(env: EnvDescription) -> Plan:
    """The plan for the task of ``env``.

    Raises:
        NoAdvice: there is none, or the environment lacks what it names.
    """
    plan = PLANS.get(env.task)
    if plan is None:
        known = ", ".join(PLANS)
        raise NoAdvice(
            AdviceStatus.REFUSED, f"the scripted advisor does not know the task {env.task!r}; known: {known}"
        )
    missing = {"tool", *(name for phase in plan.phases for name in (phase.target, phase.opposite) if name)}
    missing -= set(env.entities)
    if missing:
        raise NoAdvice(AdviceStatus.REFUSED, f"the state has no position of: {', '.join(sorted(missing))}")
    return plan
