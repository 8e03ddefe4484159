"""Makes questions: a transition in words and a picture, put into the templates of one version."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from string import Template

from varl_common.advice_status import AdviceStatus
from varl_common.env_description import TURNS, EnvDescription
from varl_common.errors import VarlError, did_you_mean
from varl_common.frame import Frame
from varl_common.plan import BASE

from varl_vlm_advisor.question import descriptions, schema
from varl_vlm_advisor.question.config import QuestionConfig
from varl_vlm_advisor.question.drawing import picture
from varl_vlm_advisor.question.pointing import coordinate_limit, coordinates_asked
from varl_vlm_advisor.question.projection import Projection
from varl_vlm_advisor.question.question import StateQuestion, content_id
from varl_vlm_advisor.types import GRIPPER, NoAdvice, State


class Prompter:
    """Makes the questions of one strategy.

    Raises:
        VarlError: there are no templates of that version.
    """

    def __init__(self, config: QuestionConfig, sees: bool, model: str = "") -> None:
        """``sees``: whether the backend looks at text and picture; if not, they are left out. ``model``: its name, by
        which its way of pointing is known."""
        self._config = config
        self._convention = config.convention_of(model)
        self._sees = sees
        self._folder = files("varl_vlm_advisor") / "templates" / config.template
        if not self._folder.is_dir():
            known = sorted(item.name for item in (files("varl_vlm_advisor") / "templates").iterdir() if item.is_dir())
            raise VarlError(f"advisor: no templates of version {config.template!r}; known: {', '.join(known)}")
        self._templates = {
            name: Template((self._folder / f"{name}.md").read_text(encoding="utf-8"))
            for name in ("system", "scene", config.strategy)
        }

    def question(self, env: EnvDescription, state: State) -> StateQuestion:
        """The question about ``state``.

        Raises:
            NoAdvice: this state cannot be asked about (its frame is unreadable, or the strategy needs one).
        """
        config = self._config
        frame = self._frame(env, state)
        jpeg, projection = self._picture(env, state, frame)
        if config.strategy == "plan" and not schema.plan_targets(env):
            raise NoAdvice(AdviceStatus.REFUSED, "a plan needs things to aim at, and this environment names none")
        if config.strategy == "point" and (projection is None or not projection.calibrated):
            raise NoAdvice(AdviceStatus.REFUSED, "pointing needs a frame from a camera whose calibration is known")
        size = (projection.width, projection.height) if projection else (0, 0)
        limit = coordinate_limit(self._convention, *size)
        model = schema.answer_model(config.strategy, env, limit)
        identity = content_id(env.task, config.strategy, state.state.tobytes(), state.action.tobytes(), jpeg)
        question = StateQuestion(
            config.strategy,
            config.template,
            self._convention,
            model,
            identity,
            "",
            "",
            jpeg,
            projection,
            env=env,
            state=state,
            frame=frame,
        )
        return self._worded(question) if self._sees else question

    def _frame(self, env: EnvDescription, state: State) -> Frame | None:
        """The frame of the camera that this strategy shows; None where the transition has no picture of it."""
        camera = getattr(self._config.camera, self._config.strategy)
        if camera and camera not in env.cameras:
            known = did_you_mean(camera, list(env.cameras)) if env.cameras else "it has none"
            raise NoAdvice(AdviceStatus.REFUSED, f"the environment has no camera {camera!r}; {known}")
        return next((frame for frame in state.frames if camera in ("", frame.camera)), None)

    def _picture(self, env: EnvDescription, state: State, frame: Frame | None) -> tuple[bytes, Projection | None]:
        form = self._config.picture
        if frame is None or (not self._sees and self._config.strategy != "point"):
            return b"", None
        try:
            return picture(frame, env, state, form, self._convention)
        except VarlError as error:
            raise NoAdvice(AdviceStatus.INVALID, str(error)) from None

    def _worded(self, question: StateQuestion) -> StateQuestion:
        env, state, projection = question.env, question.state, question.projection
        drawn = self._config.picture.draw_axes and projection is not None and projection.pose is not None
        scene = self._templates["scene"].substitute(
            instruction=env.instruction,
            camera=question.frame.camera if question.frame is not None and projection is not None else "none",
            view=descriptions.view(projection, drawn),
            state=descriptions.state(env, state),
        )
        size = (projection.width, projection.height) if projection is not None else (0, 0)
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
            turn_clause=_turn_clause(env),
            turn_fields=_turn_fields(env),
            subgoal_clause=_subgoal_clause(env),
            subgoal_fields=_subgoal_fields(env),
            gripper_clause=", and the gripper" if has_gripper else "",
            gripper_words='"open", "hold" or "close"' if has_gripper else '"hold"',
            max_phases=schema.max_phases(env),
            max_waypoints=schema.MAX_WAYPOINTS,
            min_tolerance=schema.MIN_TOLERANCE,
            max_tolerance=schema.MAX_TOLERANCE,
            coordinates=coordinates_asked(question.convention, *size),
        )
        system = self._templates["system"].substitute(base_frame=env.base_frame)
        return replace(question, system=system, text=f"{scene}\n{ask}")


def _turn_clause(env: EnvDescription) -> str:
    turns = [name for name in env.action_names if name in TURNS]
    return "" if not turns else ", turns it about the vertical" if turns == ["yaw"] else ", turns it about x, y, z"


def _turn_fields(env: EnvDescription) -> str:
    """What a plan's phase says of how the tool is turned."""
    names = schema.align_targets(env)
    if not names:
        return ""
    known = ", ".join(f'"{name}"' for name in ("", *names))
    return (
        f'"align": one of {known}: as what the tool is to be turned, "{BASE}" as at home, "" however it is, "yaw": '
        "degrees about the vertical from that (-180 to 180), "
    )


def _subgoal_clause(env: EnvDescription) -> str:
    if not schema.has_stages(env):
        return ""
    return (
        " A task of several errands is solved in stages: the last phase of a stage, if another follows, says what it "
        "has brought where. Only while that is so are the phases after it followed, from wherever the tool is then, so "
        "that the first of them lets go and rises."
    )


def _subgoal_fields(env: EnvDescription) -> str:
    """What a plan's phase says of its sub-goal."""
    if not schema.has_stages(env):
        return ""
    return (
        ', "brings", "to" and "within": in such a last phase, the name of the thing that it has brought, the name of '
        'the thing where that then is, and how many metres apart their middles then are at most, else "", "" and 0'
    )
