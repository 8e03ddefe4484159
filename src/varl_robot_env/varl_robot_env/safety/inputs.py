"""What an arm must hear of to be moved: one rule for every input that a robot's file names. ROS-free."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from varl_common.errors import VarlError

Values = Sequence[float | None]


class Source(Protocol):
    """Who publishes an input."""

    def count(self) -> int:
        """How many publishers are heard."""

    def mismatch(self) -> str | None:
        """Which publisher cannot be heard because its QoS does not match, in a sentence; None where all can be."""


@dataclass(frozen=True)
class InputRule:
    """What is expected of an input.

    Attributes:
        name: what it is, for a person: "force".
        fields: names of the numbers that each of its messages must carry.
        remedy: what to do about its silence.
        stale_after: silence, s, that counts as a fault; None: it speaks only when something changes, so the loss of its
            last publisher counts instead.
        judge: what is wrong, told from the numbers of a whole message; None where all is well.
        required: it must have been heard before anything moves.
        emergency: an emergency stop. It is latched even before the arm was ready, and where it has several publishers,
            what one of them says does not release what another pressed.
    """

    name: str
    fields: tuple[str, ...] = ()
    remedy: str = ""
    stale_after: float | None = None
    judge: Callable[[Sequence[float]], str | None] = lambda values: None
    required: bool = True
    emergency: bool = False


@dataclass(frozen=True)
class Standing:
    """How an input is: what is wrong with it, in a sentence (None: nothing), and messages a second, 0 where unknown."""

    name: str
    problem: str | None
    rate: float


@dataclass
class _Input:
    rule: InputRule
    source: Source
    heard_at: float | None = None
    since: float = 0.0  # when it was heard first
    count: int = 0
    fault: str | None = None
    good: bool = False  # so was its last message
    silent: bool = False
    mismatch: str | None = None


class Inputs:
    """Every input of an arm, by one rule, which fails closed.

    Nothing moves before each was heard and is good. Afterwards silence, numbers that are missing or not finite, and
    what :attr:`InputRule.judge` objects to are reasons to stop. A fault stays until a message comes that is whole and
    good; nothing broken clears one. Whoever is told of a fault latches it: that a fault is over moves no arm.

    Ages are of monotonic receive times: a driver's own stamps may come from another clock, and one that repeats a
    message is alive, but a message that does not come has no stamp to tell.

    Attributes:
        counts: how often each input gave a reason to stop.
    """

    def __init__(
        self,
        on_fault: Callable[[InputRule, str], None] = lambda rule, reason: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``on_fault`` is told at once of a fault that a message brings."""
        self._on_fault, self._clock = on_fault, clock
        self._inputs: dict[str, _Input] = {}
        self.counts: Counter[str] = Counter()

    def add(self, rule: InputRule, source: Source) -> Callable[[Values], bool]:
        """Expect an input; returns what takes the numbers of each of its messages (None: the message lacks it) and
        says whether they can be used."""
        if rule.name in self._inputs:
            raise VarlError(f"two inputs are {rule.name}; each needs a topic, or a field of it, of its own")
        entry = self._inputs[rule.name] = _Input(rule, source)
        return lambda values: self._take(entry, values)

    def not_ready_reason(self) -> str | None:
        """What keeps the arm from moving at all yet, in a sentence; None once all is heard and good."""
        self.look_for_mismatches()
        for entry in self._inputs.values():
            if entry.mismatch:
                return entry.mismatch
            if entry.rule.required and entry.heard_at is None:
                return f"no {entry.rule.name} yet: {entry.rule.remedy}"
        return self._first_reason([entry for entry in self._inputs.values() if not entry.rule.emergency])

    def standings(self) -> list[Standing]:
        """How each input is now, those that are well as well."""
        self.look_for_mismatches()
        now, found = self._clock(), []
        for entry in self._inputs.values():
            lasted = (entry.heard_at or 0.0) - entry.since
            rate = (entry.count - 1) / lasted if entry.count > 1 and lasted > 0 else 0.0
            problem = entry.mismatch or entry.fault or self._silence(entry, now)
            found.append(Standing(entry.rule.name, problem, rate))
        return found

    def look_for_mismatches(self) -> None:
        """Ask who publishes with a QoS that cannot be heard: it takes a while, so once in a second is enough."""
        for entry in self._inputs.values():
            entry.mismatch = entry.source.mismatch()

    def silent(self) -> bool:
        """Whether an input was not heard in time."""
        now = self._clock()
        return any(self._silence(entry, now) for entry in self._inputs.values())

    def reason(self) -> str | None:
        """Why the arm must not move now, in a sentence; None where nothing is wrong."""
        return self._first_reason(self._inputs.values())

    def _first_reason(self, inputs: Iterable[_Input]) -> str | None:
        now, reason = self._clock(), None
        for entry in inputs:
            silence = self._silence(entry, now)
            if silence and not entry.silent:
                self.counts[entry.rule.name] += 1
            entry.silent = silence is not None
            reason = reason or entry.fault or silence or entry.mismatch
        return reason

    def rearm(self) -> None:
        """A person says that it may go on: what several publishers disagreed about counts as the last of them said."""
        for entry in self._inputs.values():
            if entry.good:
                entry.fault = None

    def _take(self, entry: _Input, values: Values) -> bool:
        rule = entry.rule
        entry.heard_at = self._clock()
        entry.count += 1
        if entry.count == 1:
            entry.since = entry.heard_at
        broken = _broken(rule, values)
        fault = broken or rule.judge([value for value in values if value is not None])
        entry.good = fault is None
        if fault is not None:
            fault = fault or f"{rule.name} is not good"
            if entry.fault is None:
                self.counts[rule.name] += 1
            entry.fault = fault
            self._on_fault(rule, fault)
        elif not (entry.fault and rule.emergency and entry.source.count() > 1):
            entry.fault = None
        return not broken

    def _silence(self, entry: _Input, now: float) -> str | None:
        rule = entry.rule
        if entry.heard_at is None:
            return f"no {rule.name} ever: {rule.remedy}" if rule.required else None
        if rule.stale_after is not None:
            age = now - entry.heard_at
            return f"no {rule.name} for {age:.2f} s: {rule.remedy}" if age > rule.stale_after else None
        gone = rule.required and entry.source.count() == 0
        return f"nobody publishes {rule.name} any more: {rule.remedy}" if gone else None


def _broken(rule: InputRule, values: Values) -> str | None:
    """What the message lacks, in a sentence."""
    if len(values) != len(rule.fields):
        fields = ", ".join(rule.fields)
        return f"{rule.name} came with {len(values)} of {len(rule.fields)} numbers ({fields}); check its publisher"
    for field, value in zip(rule.fields, values, strict=True):
        if value is None:
            return f"{rule.name} came without {field}; check its publisher"
        if not math.isfinite(value):
            return f"{rule.name} has {field} {value}, which is no number to go by; check its publisher"
    return None
