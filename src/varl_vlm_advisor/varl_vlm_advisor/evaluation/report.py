"""The judgement as a table and as pages of pictures: each frame with the advised and the expert's arrow."""

from __future__ import annotations

import base64
import html
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from varl_common.env_description import EnvDescription
from varl_common.image_codec import decode_image, encode_jpeg

from varl_vlm_advisor.evaluation.labelled_states import LabelledState
from varl_vlm_advisor.evaluation.metrics import Score
from varl_vlm_advisor.evaluation.predictions import Predictions
from varl_vlm_advisor.question.drawing import Image, draw_arrow
from varl_vlm_advisor.question.projection import Projection
from varl_vlm_advisor.types import TOOL

_ADVISED, _EXPERT = (200, 0, 200), (0, 160, 0)  # magenta and green
_ARROW = 0.12  # m that an action of length 1 is drawn long
_COLUMNS = 4
_THUMBNAIL = 320  # px
_WIDTH = 2 * _THUMBNAIL

_REASONS = 8
"""So many different reasons are told: a model that writes nonsense has one for each state."""

HEADER = ("task", "who", "ok", "cosine", "signs", "gripper", "progress", "consistency", "mirrored", "per axis")


@dataclass(frozen=True)
class Row:
    """What one advisor or baseline predicted for one task, and its score."""

    task: str
    predictions: Predictions
    score: Score
    count: int

    def cells(self) -> list[str]:
        """As :data:`HEADER` names them."""
        given = int(np.isfinite(self.predictions.actions).all(axis=1).sum())
        others = ", ".join(f"{n} {name.lower()}" for name, n in self.predictions.statuses.items() if name != "OK")
        ok = f"{given}/{self.count}" + (f" ({others})" if others else "")
        s = self.score
        means = (s.cosine, s.signs, s.gripper, s.progress, self.predictions.consistency, self.predictions.mirrored)
        numbers = ["-" if math.isnan(value) else f"{value:.2f}" for value in means]
        axes = " ".join(f"{name} {value:.2f}" for name, value in s.per_axis.items() if not math.isnan(value))
        return [self.task, self.predictions.name, ok, *numbers, axes]


def table(rows: list[Row]) -> str:
    """Plain text, in columns."""
    lines = [list(HEADER), *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def unanswered(counts: Counter[str], asked: int) -> str:
    """Why not all that was ``asked`` has an answer: each reason once, with its count; empty where all has one."""
    if not counts:
        return ""
    lines = [f"  {count} x {reason or 'no reason given'}" for reason, count in counts.most_common(_REASONS)]
    others = counts.most_common()[_REASONS:]
    if others:
        lines.append(f"  {sum(count for _, count in others)} x {len(others)} other reasons")
    return "\n".join((f"not answered: {counts.total()} of {asked}", *lines))


def write_html(path: Path, rows: list[Row], pictures: list[tuple[Image, str]], notes: str) -> None:
    """One page that needs nothing beside it; ``notes``: what is to be said under the table."""
    head = "".join(f"<th>{cell}</th>" for cell in HEADER)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row.cells())}</tr>" for row in rows)
    figures = "".join(
        f'<figure><img src="data:image/jpeg;base64,{base64.b64encode(encode_jpeg(image, 85)).decode()}">'
        f"<figcaption>{html.escape(words)}</figcaption></figure>"
        for image, words in pictures
    )
    style = (
        "body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}td,th{padding:3px 9px;text-align:left;"
        "border-bottom:1px solid #ccc}figure{display:inline-block;width:340px;margin:6px;vertical-align:top}"
        "img{width:340px}"
    )
    path.write_text(
        f'<!doctype html><meta charset="utf-8"><title>Advisor</title><style>{style}</style><h1>Advisor</h1>'
        f'<table><tr>{head}</tr>{body}</table><p style="white-space:pre-wrap">{html.escape(notes)}</p>{figures}',
        encoding="utf-8",
    )


LEGEND = (
    "Thick green arrow: the expert; thin magenta: the advisor; a ring: nothing advised. cosine and signs: against the "
    "expert's translation. progress: return of following the advice for 8 steps, 0 is standing still and 1 the "
    "expert's action. consistency: two samples of a question. mirrored: the same scene in a mirror, signs that stay."
)

OF_A_PLAN = (
    "A plan names things, and the state tells where they are: the picture hardly counts, and a right plan is as good "
    'without it. Judge a plan by its signs and progress against "mean action"; whether the model sees is told by '
    "strategy:=direction or strategy:=point."
)
"""Under the table where the strategy is plan."""


def picture(env: EnvDescription, example: LabelledState, predictions: Predictions, number: int) -> tuple[Image, str]:
    """The frame with both arrows, and the words below it."""
    frame = example.transition.frames[0]
    image = decode_image(frame.jpeg)
    projection = Projection(image.shape[1], image.shape[0], frame.k, frame.camera_pose)
    if image.shape[1] < _WIDTH:  # thin arrows want pixels
        height = round(_WIDTH * image.shape[0] / image.shape[1])
        image = np.asarray(cv2.resize(image, (_WIDTH, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        projection = projection.scaled(_WIDTH, height)
    tool = env.position(TOOL, example.transition.state)
    advised = predictions.actions[number]
    if tool is not None and projection.calibrated:
        start = projection.pixel(tool)
        for action, colour, weight in ((example.expert, _EXPERT, 4), (advised, _ADVISED, 1)):
            if start is None:
                continue
            if not np.isfinite(action).all():
                cv2.circle(image, (round(start[0]), round(start[1])), 14, colour, 2, cv2.LINE_AA)
                continue
            move = np.zeros(3)
            for index in env.translations:
                move["xyz".index(env.action_names[index][-1])] = action[index]
            end = projection.pixel(tool + _ARROW * move)
            if end is not None:
                draw_arrow(image, start, end, colour, weight=weight)
    reason = predictions.reasons[number] if predictions.reasons else ""
    return image, f"{env.task}: {_words(env, advised)} (expert {_words(env, example.expert)}). {reason}"


def write_png(path: Path, pictures: list[tuple[Image, str]]) -> None:
    """The frames side by side, without words."""
    small = [cv2.resize(p, (_THUMBNAIL, round(_THUMBNAIL * p.shape[0] / p.shape[1]))) for p, _ in pictures]
    height = max(image.shape[0] for image in small)
    sheet = np.full((-(-len(small) // _COLUMNS) * height, _COLUMNS * _THUMBNAIL, 3), 255, np.uint8)
    for number, image in enumerate(small):
        row, column = divmod(number, _COLUMNS)
        sheet[row * height :, column * _THUMBNAIL :][: image.shape[0], : image.shape[1]] = image
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def _words(env: EnvDescription, action: np.ndarray) -> str:
    if not np.isfinite(action).all():
        return "nothing"
    return ", ".join(f"{name} {value:+.1f}" for name, value in zip(env.action_names, action, strict=True))
