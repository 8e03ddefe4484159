"""What a model that looks is worth on scenes that it was never taught: ``make bench-sight ARGS="model:=FOLDER"``.

Scenes are made by seed, with textures and clutter that no scene for training has. Each is asked about by the question
that the advisor asks (strategy point); the answer is held to the schema and carried out as in a run. Asked again are
the same questions with a grey picture, and with that of another state.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from varl_common.arguments import Argument, complete, parse, whole_number
from varl_common.errors import VarlError
from varl_common.host.progress import progress
from varl_common.image_codec import decode_image, encode_jpeg
from varl_common.vision.in_the_box import in_the_box
from varl_vlm_advisor.answer.motion import to_action
from varl_vlm_advisor.answer.parsing import parse as parse_answer
from varl_vlm_advisor.backends.transformers import TransformersBackend
from varl_vlm_advisor.evaluation.metrics import agreement
from varl_vlm_advisor.evaluation.worlds import make_varied_world
from varl_vlm_advisor.question.config import QuestionConfig
from varl_vlm_advisor.question.pointing import to_pixel
from varl_vlm_advisor.question.prompt import Prompter
from varl_vlm_advisor.question.question import StateQuestion
from varl_vlm_advisor.service.config import AdvisorConfig
from varl_vlm_advisor.training import scenes, teacher
from varl_vlm_advisor.types import NoAdvice

from benchmarks import localiser

RESULTS = Path(__file__).parent / "results"
TASKS = ("reach", "push", "lift")
_SEED = 7919
TABLE = 0.0  # m, base frame: its height in the project's own tasks
_BEHIND = AdvisorConfig().behind
_ARGUMENTS = (
    Argument("model", "Folder of the model.", str(in_the_box())),
    Argument("count", "Scenes of each task.", "60", check=whole_number(2)),
    Argument("out", "File of the figures.", str(RESULTS / "sight.json")),
)


@dataclass(frozen=True)
class Asked:
    """A held-out scene: the question, the expert's action, and where the right answer points (None: nowhere)."""

    question: StateQuestion
    expert: np.ndarray
    right: np.ndarray | None


def held_out(task: str, count: int, unseen: bool = True, **looks: Any) -> list[Asked]:
    """``count`` scenes of ``task``, whose states say the truth; not ``unseen``: others of those that it was taught."""
    rng = np.random.default_rng(_SEED)
    made: list[Asked] = []
    with closing(make_varied_world(task, depth=True, held_out=unseen, seed=_SEED, **looks)) as world:
        asker = Prompter(QuestionConfig(strategy="point"), True, scenes.MODEL)
        episode = 1000 * _SEED
        while len(made) < count:
            for transition, truth, expert, _ in scenes.transitions(world, rng, episode, truthful=True):
                question = asker.question(world.env, transition)
                phase, place = teacher.pointing(world.env, truth)
                assert question.projection is not None
                pixel = None if phase == "lift" else question.projection.pixel(place)
                made.append(Asked(question, expert, pixel if question.projection.holds(pixel) else None))
            episode += 1
    return made[:count]


class Judge:
    """Asks one model, and keeps the time that it takes."""

    def __init__(self, backend: TransformersBackend) -> None:
        self._backend = backend
        self._loop = asyncio.new_event_loop()
        self.seconds: list[float] = []
        self.refused = 0

    def answer(self, question: StateQuestion) -> Any:
        """The validated answer, or None."""
        begun = time.perf_counter()
        reply = self._loop.run_until_complete(self._backend.reply(question, 0))
        self.seconds.append(time.perf_counter() - begun)
        try:
            return parse_answer(question, reply)
        except NoAdvice:
            self.refused += 1
            return None

    def answers(self, questions: Sequence[StateQuestion], what: str) -> list[Any]:
        """Those to all of them; ``what`` they are is shown meanwhile."""
        return [self.answer(one) for one in progress(questions, what, len(questions))]

    def actions(self, asked: Sequence[Asked], answers: Sequence[Any]) -> np.ndarray:
        """What each answer does, (n, act_dim); NaN where there is none."""
        rows = []
        for one, answer in zip(asked, answers, strict=True):
            none = np.full(len(one.expert), np.nan, np.float32)
            try:
                rows.append(none if answer is None else to_action(one.question, answer, TABLE, _BEHIND))
            except NoAdvice:
                rows.append(none)
        return np.stack(rows)


def signs(judge: Judge, asked: Sequence[Asked], answers: Sequence[Any]) -> float:
    """Share of the axes on which the expert moves clearly that have its sign; no answer has none."""
    experts = np.stack([one.expert for one in asked])
    actions = np.nan_to_num(judge.actions(asked, answers))
    return agreement(asked[0].question.env, actions, experts)


def pointing_error(asked: Sequence[Asked], answers: Sequence[Any]) -> float:
    """Median distance from the right point, as a share of the picture's width."""
    away = []
    for one, answer in zip(asked, answers, strict=True):
        if one.right is not None:
            view = one.question.projection
            assert view is not None
            said = (
                None
                if answer is None
                else to_pixel(np.array(answer.point), one.question.convention, view.width, view.height)
            )
            away.append(1.0 if said is None else float(np.linalg.norm(said - one.right)) / view.width)
    return float(np.median(away))


def grey(question: StateQuestion) -> StateQuestion:
    """The same question with a picture of nothing."""
    return replace(question, image=encode_jpeg(np.full_like(decode_image(question.image), 128)))


def measure(model: str, count: int) -> dict[str, Any]:
    """All figures of ``model``."""
    backend = TransformersBackend(TransformersBackend.Settings(model=model, temperature=0.0, dtype="float32"))
    judge, figures = Judge(backend), dict[str, Any]()
    still, moved, blind, swapped = [], [], [], []
    for task in TASKS:
        asked = held_out(task, count)
        answers = judge.answers([one.question for one in asked], task)
        figures[f"signs_{task}"] = signs(judge, asked, answers)
        still.append((asked, answers))
        unseen = judge.answers([grey(one.question) for one in asked], f"{task}, without the picture")
        blind.append(signs(judge, asked, unseen))
        others = [
            replace(one.question, image=two.question.image)
            for one, two in zip(asked, asked[1:] + asked[:1], strict=True)
        ]
        swapped.append(signs(judge, asked, judge.answers(others, f"{task}, another picture")))
        away = held_out(task, count, exact=True, camera_move=0.1, camera_turn=10.0)
        moved.append((away, judge.answers([one.question for one in away], f"{task}, camera moved")))
    for name, judged in (("point_error", still), ("point_error_moved", moved)):
        figures[name] = pointing_error([a for some, _ in judged for a in some], [a for _, some in judged for a in some])
    figures |= {
        "signs_blind": dict(zip(TASKS, blind, strict=True)),
        "signs_other_picture": dict(zip(TASKS, swapped, strict=True)),
    }
    return figures | {
        "seconds_per_question": float(np.median(judge.seconds)),
        "unanswered": judge.refused / len(judge.seconds),
        "scenes": count,
        "parameters": sum(w.numel() for w in backend._model.parameters()),
        "megabytes": sum(file.stat().st_size for file in Path(model).iterdir()) / 1e6,
        **localiser.measure(),
    }


def main() -> int:
    """Run the command."""
    try:
        values = complete(_ARGUMENTS, parse(sys.argv[1:]))
        os.environ.setdefault("MUJOCO_GL", "egl")
        figures = measure(values["model"], int(values["count"]))
    except VarlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    Path(values["out"]).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
