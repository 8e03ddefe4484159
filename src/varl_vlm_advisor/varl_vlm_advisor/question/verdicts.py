"""Makes the question whether a task was accomplished, by which an episode is judged."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from string import Template

from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError

from varl_vlm_advisor.question.config import QuestionConfig
from varl_vlm_advisor.question.drawing import undrawn
from varl_vlm_advisor.question.question import StateQuestion, content_id
from varl_vlm_advisor.question.schema import VerdictAnswer
from varl_vlm_advisor.types import NoAdvice, State

VERDICT = "verdict"
"""The strategy of such a question."""


class VerdictPrompter:
    """Asks one model. It is shown the picture and the task's words, and no numbers: it is to look."""

    def __init__(self, config: QuestionConfig, sees: bool, model: str = "") -> None:
        """``sees``: whether the backend looks at text and picture; if not, they are left out. ``model``: its name."""
        self._config, self._sees = config, sees
        self._convention = config.convention_of(model)
        folder = files("varl_vlm_advisor") / "templates" / config.template
        self._system = (folder / "verdict_system.md").read_text(encoding="utf-8")
        self._ask = Template((folder / "verdict.md").read_text(encoding="utf-8"))

    def question(self, env: EnvDescription, state: State) -> StateQuestion:
        """Whether ``state``, with its frames, is one in which the task of ``env`` is accomplished.

        Raises:
            NoAdvice: it has no picture of the camera that is to be shown, or one that is unreadable.
        """
        config = self._config
        camera = config.camera.verdict
        frame = next((frame for frame in state.frames if camera in ("", frame.camera)), None)
        jpeg, projection = b"", None
        if self._sees:
            if frame is None:
                raise NoAdvice(AdviceStatus.REFUSED, f"no picture came of {camera or 'any camera'} to judge by")
            try:
                jpeg, projection, _ = undrawn(frame, config.picture, self._convention)
            except VarlError as error:
                raise NoAdvice(AdviceStatus.INVALID, str(error)) from None
        question = StateQuestion(
            VERDICT,
            config.template,
            self._convention,
            VerdictAnswer,
            content_id(VERDICT, env.instruction, state.state.tobytes(), jpeg),
            self._system,
            "",
            jpeg,
            projection,
            env=env,
            state=state,
            frame=frame,
        )
        if frame is None or not self._sees:
            return question
        text = self._ask.substitute(
            instruction=env.instruction, camera=frame.camera, id=question.id, schema=json.dumps(question.schema)
        )
        return replace(question, text=text)
