"""The breaker alone, by a clock that stands still."""

import pytest
from varl_common.advice_status import AdviceStatus
from varl_vlm_advisor.service.breaker import Breaker
from varl_vlm_advisor.service.config import BreakerConfig
from varl_vlm_advisor.types import NoAdvice

DOWN = NoAdvice(AdviceStatus.UNAVAILABLE, "it is down", retry=True)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broken(clock: Clock) -> Breaker:
    """A breaker that has just opened, with a rest of 10 s."""
    breaker = Breaker(BreakerConfig(failures=2, rest=10.0), clock)
    for _ in range(2):
        breaker.failed(breaker.enter(), DOWN)
    return breaker


def test_an_open_breaker_refuses_with_the_last_reason(broken: Breaker) -> None:
    with pytest.raises(NoAdvice, match="left alone after 2 failures, the last: it is down"):
        broken.enter()


def test_after_a_rest_exactly_one_probe_goes_through(broken: Breaker, clock: Clock) -> None:
    clock.now = 11.0
    probe = broken.enter()
    for _ in range(3):
        with pytest.raises(NoAdvice):
            broken.enter()
    broken.succeeded(probe)
    assert not broken.open


def test_calls_from_before_decide_nothing(clock: Clock) -> None:
    """Three were under way when it opened; their ends let no second probe through and prolong no rest."""
    breaker = Breaker(BreakerConfig(failures=2, rest=10.0), clock)
    first, second, *late = (breaker.enter() for _ in range(5))
    breaker.failed(first, DOWN)
    breaker.failed(second, DOWN)
    clock.now = 11.0
    probe = breaker.enter()
    breaker.failed(late[0], DOWN)
    breaker.abandoned(late[1])
    breaker.succeeded(late[2])
    with pytest.raises(NoAdvice):
        breaker.enter()
    breaker.failed(probe, DOWN)
    clock.now = 22.0
    breaker.enter()


def test_a_probe_that_is_given_up_makes_room_for_another(broken: Breaker, clock: Clock) -> None:
    clock.now = 11.0
    broken.abandoned(broken.enter())
    broken.succeeded(broken.enter())
    assert not broken.open


def test_a_spent_account_is_told_as_such_while_it_is_left_alone() -> None:
    breaker = Breaker(BreakerConfig(failures=1))
    breaker.failed(breaker.enter(), NoAdvice(AdviceStatus.BUDGET, "Insufficient Balance"))
    with pytest.raises(NoAdvice, match="Insufficient Balance") as caught:
        breaker.enter()
    assert caught.value.status == AdviceStatus.BUDGET


def test_a_request_without_one_reply_prolongs_the_rest(broken: Breaker, clock: Clock) -> None:
    clock.now = 11.0
    broken.abandoned(broken.enter())  # the probe, at the deadline of its request
    broken.silent()
    with pytest.raises(NoAdvice, match="no reply by the deadline"):
        broken.enter()


def test_it_rests_for_as_long_as_the_server_asks(broken: Breaker, clock: Clock) -> None:
    clock.now = 11.0
    broken.failed(broken.enter(), NoAdvice(AdviceStatus.UNAVAILABLE, "slow down", retry=True, retry_after=60.0))
    clock.now = 70.0
    with pytest.raises(NoAdvice):
        broken.enter()
    clock.now = 72.0
    broken.enter()
