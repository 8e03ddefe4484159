"""Makes the questions of where a picture shows a thing, by which a localiser is taught."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from string import Template

from varl_common.advice_status import AdviceStatus
from varl_common.errors import VarlError
from varl_common.frame import Frame

from varl_vlm_advisor.question import schema
from varl_vlm_advisor.question.config import QuestionConfig
from varl_vlm_advisor.question.drawing import undrawn
from varl_vlm_advisor.question.pointing import coordinate_limit, coordinates_asked
from varl_vlm_advisor.question.question import PlaceQuestion, content_id
from varl_vlm_advisor.types import NoAdvice


class PlacePrompter:
    """Asks one model. The picture has no axes drawn in: they would hide what is to be found."""

    def __init__(self, config: QuestionConfig, model: str = "") -> None:
        """``model``: its name, by which its way of pointing is known."""
        self._config = config
        self._convention = config.convention_of(model)
        folder = files("varl_vlm_advisor") / "templates" / config.template
        self._system = (folder / "place_system.md").read_text(encoding="utf-8")
        self._ask = Template((folder / "place.md").read_text(encoding="utf-8"))

    def question(self, frame: Frame, thing: str) -> PlaceQuestion:
        """Where ``frame`` shows ``thing``, in words.

        Raises:
            NoAdvice: the frame is unreadable.
        """
        form = self._config.picture
        try:
            jpeg, projection, whole = undrawn(frame, form, self._convention)
        except VarlError as error:
            raise NoAdvice(AdviceStatus.INVALID, str(error)) from None
        size = projection.width, projection.height
        question = PlaceQuestion(
            "place",
            self._config.template,
            self._convention,
            schema.place_model(coordinate_limit(self._convention, *size)),
            content_id("place", thing, jpeg),
            self._system,
            "",
            jpeg,
            projection,
            thing=thing,
            whole=whole,
        )
        text = self._ask.substitute(
            thing=thing,
            id=question.id,
            coordinates=coordinates_asked(self._convention, *size),
            schema=json.dumps(question.schema),
        )
        return replace(question, text=text)
