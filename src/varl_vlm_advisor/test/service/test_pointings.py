"""Where pictures show things: the service's answers, in the frame's own pixels, within its budget."""

import json
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.config import Config
from varl_common.frame import Frame
from varl_common.image_codec import encode_jpeg
from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.pointing import to_point
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.service.config import config_model
from varl_vlm_advisor.testing.fuzz import FuzzBackend

PLACE = np.array([850.0, 300.0])  # of 1280x720


class Model:
    """Points at PLACE, by the convention that it is asked for."""

    class Settings(Config):
        """None."""

    label, identity = "model", ""
    sees: ClassVar[bool] = True

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.says: dict[str, Any] = {}

    async def reply(self, question: Question, sample: int) -> Reply:
        self.asked.append(question)
        shown = question.projection
        assert shown is not None
        pixel = PLACE * [shown.width / 1280, shown.height / 720]
        point = to_point(pixel, question.convention, shown.width, shown.height)
        said = {"id": question.id, "reason": "there", "can_tell": True, "visible": True, "point": point}
        return Reply(json.dumps(said | self.says))

    async def close(self) -> None:
        """Nothing is held."""


def picture(colour: tuple[int, int, int] | None = (200, 30, 30)) -> Frame:
    rgb = np.full((720, 1280, 3), 120, np.uint8)
    if colour:
        cv2.circle(rgb, tuple(PLACE.astype(int)), 40, colour, -1)
    return Frame("camera", encode_jpeg(rgb))


@pytest.fixture
def advise() -> Iterator[Callable[..., Advisor]]:
    made: list[Advisor] = []

    def make(backend: Any = None, **settings: Any) -> Advisor:
        made.append(Advisor(config_model()(**{"cache": {"mode": "off"}, **settings}), backend))
        return made[-1]

    yield make
    for advisor in made:
        advisor.close()


@pytest.mark.parametrize("convention", ["pixel", "pixel28", "percent", "thousand", "thousand_yx"])
def test_a_pointing_is_in_the_pixels_of_the_frame(advise: Callable[..., Advisor], convention: str) -> None:
    model = Model()
    found = advise(model, convention=convention).point([picture()], ["the red ball"], 30.0).result()
    assert [one.status for one in found] == [AdviceStatus.OK]
    assert np.abs(found[0].pixel - PLACE).max() < 0.01 * 1280  # percents are whole numbers here
    assert "the red ball" in model.asked[0].text


def test_what_is_hidden_has_no_pixel_and_what_cannot_be_told_no_answer(advise: Callable[..., Advisor]) -> None:
    model = Model()
    advisor = advise(model)
    model.says = {"visible": False, "point": [0, 0]}
    (hidden,) = advisor.point([picture()], ["a"], 30.0).result()
    assert (hidden.status, hidden.pixel) == (AdviceStatus.OK, None)
    model.says = {"can_tell": False}
    (untold,) = advisor.point([picture()], ["a"], 30.0).result()
    assert (untold.status, untold.pixel) == (AdviceStatus.REFUSED, None)
    model.says = {"point": [5000, 5000]}
    (outside,) = advisor.point([picture()], ["a"], 30.0).result()
    assert outside.status == AdviceStatus.INVALID


def test_each_thing_in_each_picture_is_a_call_and_the_budget_ends_them(advise: Callable[..., Advisor]) -> None:
    model = Model()
    advisor = advise(model, budget={"calls": 5})
    frames = [picture(), picture(None), picture((30, 160, 60))]
    found = advisor.point(frames, ["the red ball", "the green ball"], 30.0).result()
    assert len(found) == 6
    assert len(model.asked) == 5
    assert sorted(one.status for one in found) == [AdviceStatus.OK] * 5 + [AdviceStatus.BUDGET]


@pytest.mark.parametrize(
    ("things", "deadline", "sentence"),
    [(["a", " "], 5.0, "has no words"), (["a"], float("nan"), "not a finite"), (["a"] * 5000, 5.0, "at most 4096")],
)
def test_a_request_that_makes_no_sense_is_answered_so(
    advise: Callable[..., Advisor], things: list[str], deadline: float, sentence: str
) -> None:
    found = advise(Model()).point([picture()], things, deadline).result()
    assert len(found) == len(things)
    assert all(one.status == AdviceStatus.INVALID and sentence in one.reason for one in found)


def test_an_unreadable_picture_costs_no_call(advise: Callable[..., Advisor]) -> None:
    model = Model()
    (found,) = advise(model).point([Frame("camera", b"no jpeg")], ["a"], 30.0).result()
    assert found.status == AdviceStatus.INVALID
    assert not model.asked


def test_the_stand_in_sees_colours(advise: Callable[..., Advisor]) -> None:
    advisor = advise(scripted={"error_rate": 0.0, "point_error": 0.0})
    seen, other, nothing, unknown = advisor.point(
        [picture(), picture(None)], ["the red ball", "the green ball"], 30.0
    ).result()
    assert np.abs(seen.pixel - PLACE).max() < 4
    assert other.pixel is None
    assert nothing.pixel is None
    assert unknown.pixel is None
    (refused,) = advisor.point([picture()], ["the ball"], 30.0).result()
    assert refused.status == AdviceStatus.REFUSED
    assert "names none" in refused.reason


def test_the_stand_in_is_as_wrong_as_it_is_told(advise: Callable[..., Advisor]) -> None:
    advisor = advise(scripted={"error_rate": 0.0, "point_error": 0.017})
    frames = [picture((180 + number, 30, 30)) for number in range(60)]
    off = [np.linalg.norm(one.pixel - PLACE) for one in advisor.point(frames, ["the red ball"], 60.0).result()]
    assert 0.013 < np.median(off) / 1280 < 0.028


def test_whatever_a_model_says_there_is_one_answer_for_each(advise: Callable[..., Advisor]) -> None:
    advisor = advise(FuzzBackend(FuzzBackend.Settings()))
    frames = [picture((n, 255 - n, n // 2)) for n in range(40)]
    found = advisor.point(frames, ["a", "b"], 60.0).result()
    assert len(found) == 80
    assert {one.status for one in found} >= {AdviceStatus.OK, AdviceStatus.INVALID}
    assert all(one.pixel is None or np.isfinite(one.pixel).all() for one in found)
