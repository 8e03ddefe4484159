"""The backend ``sight``: the small model in the box for what it knows, and the scripted stand-in for the rest."""

from __future__ import annotations

import logging
from typing import ClassVar

from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.task_plans import no_plan_for

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.backends.scripted import ScriptedBackend
from varl_vlm_advisor.backends.transformers import IN_THE_BOX, TransformersBackend
from varl_vlm_advisor.question.question import Question, StateQuestion

ROBOT, BACKEND, TASKS, STRATEGIES = "varl_arm", "mujoco", ("reach", "push", "lift"), ("point", "plan")
"""What it was trained on: docs/model_card.md."""

log = logging.getLogger(__name__)


class SightBackend:
    """Asks the model in the box; what it cannot answer goes to the stand-in, and a line says why.

    That is no general vision-language model: it knows one simulated arm and three tasks, and only by their pictures.
    """

    class Settings(Config):
        """It has none: those of the backends ``transformers`` and ``scripted`` are their defaults."""

    sees: ClassVar[bool] = True
    identity = ""
    """Not kept: its answers cost a second, and may be the stand-in's."""

    def __init__(self, settings: Settings) -> None:
        self._stand_in = ScriptedBackend(ScriptedBackend.Settings())
        self._model: TransformersBackend | None = None
        self._said: set[str] = set()
        self.label = self._stand_in.label
        try:
            self._model = TransformersBackend(TransformersBackend.Settings())
            self.label = self._model.label
        except VarlError as error:
            self._say(str(error))

    async def reply(self, question: Question, sample: int) -> Reply:
        """The model's answer, or the stand-in's."""
        if self._model is None:
            return await self._stand_in.reply(question, sample)
        problem = _problem(question)
        if problem:
            if not _nobody_knows(question):  # else the stand-in's refusal tells, with the remedy
                self._say(problem)
            self.label = self._stand_in.label
            return await self._stand_in.reply(question, sample)
        self.label = self._model.label
        return await self._model.reply(question, sample)

    async def close(self) -> None:
        """End the model's thread."""
        if self._model is not None:
            await self._model.close()

    def _say(self, why: str) -> None:
        """Once each reason."""
        if why not in self._said:
            self._said.add(why)
            log.warning("%s; the scripted stand-in answers in its place", why)


def _nobody_knows(question: Question) -> bool:
    """Whether the stand-in does not know the task, either."""
    return isinstance(question, StateQuestion) and bool(no_plan_for(question.env.task))


def _problem(question: Question) -> str:
    """Why the model cannot answer, in a sentence; empty where it can."""
    if not isinstance(question, StateQuestion):
        return f"{IN_THE_BOX} does not tell things apart by name"
    env = question.env
    if env.robot != ROBOT or env.backend != BACKEND or env.task not in TASKS:
        asked = f"{env.task} of {env.robot} in {env.backend}"
        return f"{IN_THE_BOX} knows {', '.join(TASKS)} of {ROBOT} in {BACKEND}, not {asked}"
    if question.strategy not in STRATEGIES:
        return f"{IN_THE_BOX} is not for the strategy {question.strategy}"
    if not question.image:
        return f"no picture comes to {IN_THE_BOX} (varl doctor tells what rendering lacks)"
    return ""
