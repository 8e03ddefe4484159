"""The one rule for every input: heard first, watched for silence, nothing broken counts, and nothing broken clears."""

import numpy as np
import pytest
from varl_robot_env.safety.inputs import InputRule, Inputs

LIMIT = 100.0
RULE = InputRule(
    "force", ("x", "y"), "check the sensor", 0.1, lambda values: "pressed" if max(values) > LIMIT else None
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Publishers:
    """As many as a test says, all of them heard or not."""

    def __init__(self, count: int = 1) -> None:
        self.number, self.words = count, None

    def count(self) -> int:
        return self.number

    def mismatch(self) -> str | None:
        return self.words


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nothing_is_ready_before_everything_was_heard_and_is_good(clock: Clock) -> None:
    inputs = Inputs(clock=clock)
    take = inputs.add(RULE, Publishers())
    other = inputs.add(InputRule("other", ("value",), "start it"), Publishers())
    assert inputs.not_ready_reason() == "no force yet: check the sensor"
    take([0.0, 200.0])
    assert inputs.not_ready_reason() == "no other yet: start it"
    other([1.0])
    assert inputs.not_ready_reason() == "pressed"
    take([0.0, 0.0])
    assert inputs.not_ready_reason() is None


def test_silence_is_a_reason_from_its_bound_on_until_it_speaks_again(clock: Clock) -> None:
    inputs = Inputs(clock=clock)
    take = inputs.add(RULE, Publishers())
    assert "no force ever" in (inputs.reason() or "")
    take([0.0, 0.0])
    clock.now = 0.1
    assert not inputs.silent()
    assert inputs.reason() is None
    clock.now = 0.11
    assert inputs.silent()
    assert inputs.reason() == "no force for 0.11 s: check the sensor"
    take([0.0, 0.0])
    assert inputs.reason() is None
    assert inputs.counts["force"] == 2


BROKEN = [[np.nan, 0.0], [0.0, np.inf], [0.0], [], [None, 0.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_broken_is_a_fault_and_clears_none(broken: list[float | None], clock: Clock) -> None:
    told: list[str] = []
    inputs = Inputs(lambda rule, reason: told.append(f"{rule.name}: {reason}"), clock)
    take = inputs.add(RULE, Publishers())
    assert take([0.0, 0.0])
    assert not take(broken)
    assert "force" in (inputs.reason() or "")
    assert len(told) == 1, "told at once"
    take([0.0, 200.0])
    take(broken)
    assert inputs.reason(), "a limit that was exceeded is not forgotten for a message that says nothing"
    inputs.rearm()
    assert inputs.reason(), "nor for a person's word"
    take([0.0, 0.0])
    assert inputs.reason() is None


def test_what_speaks_only_when_something_changes_must_keep_its_publisher(clock: Clock) -> None:
    publishers, inputs = Publishers(), Inputs(clock=clock)
    take = inputs.add(InputRule("program", ("running",), "press play"), publishers)
    take([1.0])
    clock.now = 1e6
    assert inputs.reason() is None
    publishers.number = 0
    assert inputs.reason() == "nobody publishes program any more: press play"


def test_a_publisher_that_cannot_be_heard_keeps_it_from_arming_and_stops_it_later(clock: Clock) -> None:
    publishers, inputs = Publishers(), Inputs(clock=clock)
    take = inputs.add(RULE, publishers)
    take([0.0, 0.0])
    publishers.words = "/sensor cannot be heard"
    assert inputs.not_ready_reason() == "/sensor cannot be heard"
    publishers.words = None
    assert inputs.not_ready_reason() is None
    publishers.words = "/another cannot be heard"
    inputs.look_for_mismatches()
    assert inputs.reason() == "/another cannot be heard"


@pytest.mark.parametrize(("publishers", "released"), [(1, True), (2, False)])
def test_one_of_several_does_not_release_the_emergency_stop_of_another(
    publishers: int, released: bool, clock: Clock
) -> None:
    rule = InputRule(
        "stop", ("data",), judge=lambda values: "pressed" if values[0] else None, required=False, emergency=True
    )
    inputs = Inputs(clock=clock)
    take = inputs.add(rule, Publishers(publishers))
    assert inputs.reason() is None, "it need not be there"
    take([True])
    assert inputs.reason() == "pressed"
    take([False])
    assert (inputs.reason() is None) is released
    inputs.rearm()
    assert inputs.reason() is None
    take([True])
    inputs.rearm()
    assert inputs.reason() == "pressed", "rearming does not release what is still pressed"
