"""What every rule of success has: :mod:`.predicates` and :mod:`.verdicts` are of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Self, TypeAlias

from pydantic import PositiveInt
from varl_common.config import Config

from varl_robot_env.tasks.situation import Situation

Holds: TypeAlias = "Callable[[Rule], bool]"


class Rule(Config):
    """A rule, and for how long it must hold."""

    held: PositiveInt = 1
    """Control periods in a row."""

    @property
    def names(self) -> Iterable[str]:
        """The things that it looks at."""
        return ()

    @property
    def rules(self) -> Sequence[Rule]:
        """Those that it is put together of."""
        return ()

    def holds(self, situation: Situation, holds: Holds) -> bool:
        """Whether it holds now; ``holds`` says it of :attr:`rules`."""
        raise NotImplementedError

    def all_rules(self) -> Iterable[Rule]:
        """Itself and all that it is put together of."""
        yield self
        for rule in self.rules:
            yield from rule.all_rules()

    def nearly(self) -> Self:
        """The rule with wider bounds: what fulfils this one alone looks like success and is none."""
        return self
