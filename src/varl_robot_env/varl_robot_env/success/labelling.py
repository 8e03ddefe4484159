"""Which moments of an episode are kept, and as what: by geometry where that judges the task, or by a person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from varl_common.errors import VarlError

from varl_robot_env.config.robot import ViewConfig
from varl_robot_env.success.moments import Label, Layout, Moments
from varl_robot_env.tasks.predicates import holds_now
from varl_robot_env.tasks.rule import Rule
from varl_robot_env.tasks.situation import Situation
from varl_robot_env.tasks.task import TaskConfig
from varl_robot_env.tasks.verdicts import Verdict

SETTLED = 3
"""Control periods that geometry's label must have lasted: what lies on the border is neither."""
EVERY = 10
"""Control periods between two kept moments of the same label: of neighbours one tells what all do."""


class Labelling:
    """Labels the moments of episodes of a task.

    Geometry labels where ``success`` is made of nothing else, whether or not it has held long enough. What a person
    says counts for the newest moment.
    """

    def __init__(self, moments: Moments, success: Rule) -> None:
        self._moments, self._success, self._nearly = moments, success, success.nearly()
        self._by_geometry = not any(isinstance(rule, Verdict) for rule in success.all_rules())
        self._newest: Situation | None = None
        self._step = 0
        self._lasts, self._present = 0, Label.FAILURE  # geometry's label, and for how many periods it has been that

    def begin(self) -> None:
        """An episode begins; the newest moment is still the last one's, until there is another."""
        if self._step:
            self._moments.end_episode()
        self._step = self._lasts = 0

    def see(self, situation: Situation) -> None:
        """A control period brought about ``situation``."""
        self._newest, self._step = situation, self._step + 1
        if not self._by_geometry:
            return
        label = Label.FAILURE
        if holds_now(self._success, situation):
            label = Label.SUCCESS
        elif holds_now(self._nearly, situation):
            label = Label.NEARLY
        self._lasts = self._lasts + 1 if label == self._present else 1
        self._present = label
        if self._lasts % EVERY == SETTLED:
            self._moments.add(situation.pictures, label, False, self._step)

    def label(self, label: Label) -> bool:
        """A person says what the newest moment is; whether there is any."""
        if self._newest is None:
            return False
        self._moments.add(self._newest.pictures, label, True, self._step)
        return True

    @property
    def counts(self) -> dict[Label, int]:
        """Moments that are kept, of each label."""
        return self._moments.counts

    def close(self) -> None:
        self._moments.close()


def labelling(folder: str | Path | None, task: TaskConfig, views: Mapping[str, ViewConfig]) -> Labelling | None:
    """Who keeps moments of ``task`` in ``folder`` as they are seen by ``views``; None where there is no folder.

    Raises:
        VarlError: the views are not of one side, or the folder is no good.
    """
    if not folder:
        return None
    sides = sorted({view.side for view in views.values()})
    if len(sides) > 1:
        raise VarlError(f"views of {sides} pixels a side cannot be kept beside each other; give all one side")
    layout = Layout(task.task, list(views), sides[0], [list(view.crop) for view in views.values()])
    return Labelling(Moments(Path(folder).expanduser(), layout), task.success)
