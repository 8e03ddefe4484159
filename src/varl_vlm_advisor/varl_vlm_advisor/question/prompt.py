"""Makes questions: a moment in words and a picture, put into the templates of one version."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from string import Template

from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError

from varl_vlm_advisor.question import descriptions, schema
from varl_vlm_advisor.question.config import QuestionConfig
from varl_vlm_advisor.question.drawing import picture
from varl_vlm_advisor.question.projection import Projection
from varl_vlm_advisor.question.question import Question, content_id
from varl_vlm_advisor.types import GRIPPER, NoAdvice, State

_COORDINATES = {
    "pixel": "[x, y] in pixels of the picture, which is {width} wide and {height} high; [0, 0] is its upper left",
    "percent": "[x, y] in percent of the picture's width and height, 0 to 100; [0, 0] is its upper left",
    "thousand": "[x, y], each 0 to 1000 over the picture's width and height; [0, 0] is its upper left",
    "thousand_yx": "[y, x], each 0 to 1000 over the picture's height and width; [0, 0] is its upper left",
}
_LIMITS = {"percent": 100.0, "thousand": 1000.0, "thousand_yx": 1000.0}


class Prompter:
    """Makes the questions of one strategy.

    Raises:
        VarlError: there are no templates of that version.
    """

    def __init__(self, config: QuestionConfig, sees: bool) -> None:
        """``sees``: whether the backend looks at text and picture; if not, they are left out."""
        self._config = config
        self._sees = sees
        self._folder = files("varl_vlm_advisor") / "templates" / config.template
        if not self._folder.is_dir():
            known = sorted(item.name for item in (files("varl_vlm_advisor") / "templates").iterdir() if item.is_dir())
            raise VarlError(f"advisor: no templates of version {config.template!r}; known: {', '.join(known)}")
        self._templates = {
            name: Template((self._folder / f"{name}.md").read_text(encoding="utf-8"))
            for name in ("system", "scene", config.strategy)
        }

    def question(self, env: EnvDescription, state: State) -> Question:
        """The question about ``state``.

        Raises:
            NoAdvice: this state cannot be asked about (its frame is unreadable, or the strategy needs one).
        """
        config = self._config
        jpeg, projection = self._picture(env, state)
        if config.strategy == "plan" and not schema.plan_targets(env):
            raise NoAdvice(AdviceStatus.REFUSED, "a plan needs things to aim at, and this environment names none")
        if config.strategy == "point" and (projection is None or not projection.calibrated):
            raise NoAdvice(AdviceStatus.REFUSED, "pointing needs a frame from a camera whose calibration is known")
        limit = _LIMITS.get(config.convention, max(projection.width, projection.height) if projection else 0.0)
        model = schema.answer_model(config.strategy, env, limit)
        identity = content_id(env.task, config.strategy, state.state.tobytes(), state.action.tobytes(), jpeg)
        question = Question(
            env, state, config.strategy, config.template, config.convention, model, identity, "", "", jpeg, projection
        )
        return self._worded(question) if self._sees else question

    def _picture(self, env: EnvDescription, state: State) -> tuple[bytes, Projection | None]:
        if not state.frames:
            return b"", None
        frame, form = state.frames[0], self._config.picture
        if not self._sees and self._config.strategy != "point":
            return b"", None
        try:
            return picture(frame, env, state, form.width, form.quality, form.draw_axes)
        except VarlError as error:
            raise NoAdvice(AdviceStatus.INVALID, str(error)) from None

    def _worded(self, question: Question) -> Question:
        env, state, projection = question.env, question.state, question.projection
        drawn = self._config.picture.draw_axes and projection is not None and projection.pose is not None
        scene = self._templates["scene"].substitute(
            instruction=env.instruction,
            camera=state.frames[0].camera if projection is not None else "none",
            view=descriptions.view(projection, drawn),
            state=descriptions.state(env, state),
        )
        has_gripper = GRIPPER in env.action_names
        ask = self._templates[self._config.strategy].substitute(
            id=question.id,
            period=f"{env.control_period:g}",
            axes=descriptions.axes(env, projection),
            did=descriptions.did(env, state),
            outcome=descriptions.outcome(env, state),
            fields=descriptions.answer_fields(env),
            schema=json.dumps(question.schema),
            base_frame=env.base_frame,
            entities=", ".join(env.entities),
            targets=", ".join(f'"{name}"' for name in schema.plan_targets(env)),
            gripper_clause=", and the gripper" if has_gripper else "",
            gripper_words='"open", "hold" or "close"' if has_gripper else '"hold"',
            max_phases=schema.MAX_PHASES,
            min_tolerance=schema.MIN_TOLERANCE,
            max_tolerance=schema.MAX_TOLERANCE,
            coordinates=_coordinates(question.convention, projection),
        )
        system = self._templates["system"].substitute(base_frame=env.base_frame)
        return replace(question, system=system, text=f"{scene}\n{ask}")


def _coordinates(convention: str, projection: Projection | None) -> str:
    size = projection or Projection(0, 0)
    return _COORDINATES[convention].format(width=size.width, height=size.height)
