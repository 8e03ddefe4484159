"""No more goals than needed, each until it is carried out, and a person told where that does not happen."""

import pytest
from varl_robot_env.arms.gripper_goals import GripperGoals

OPEN, CLOSED = 0.0, 0.8


class Server:
    """A gripper's driver, in periods of a clock that only they move."""

    def __init__(self, answer: str) -> None:
        self.now, self.sent, self.answer, self.identity = 0.0, [], answer, "first"
        self.goals = GripperGoals(OPEN - CLOSED, lambda: self.now)

    def period(self, wanted: float) -> None:
        self.now += 0.05
        if not self.goals.due(wanted, self.identity):
            return
        self.sent.append(wanted)
        self.goals.asked(wanted)
        if self.answer == "rejects":
            self.goals.failed("is rejected")
        elif self.answer in ("carries out", "gives up"):
            self.goals.accepted()
            self.goals.done() if self.answer == "carries out" else self.goals.failed("is given up")


def test_an_equal_goal_is_sent_once() -> None:
    server = Server("carries out")
    for _ in range(100):
        server.period(CLOSED)
    for _ in range(100):
        server.period(OPEN)
    assert server.sent == [CLOSED, OPEN]


@pytest.mark.parametrize(
    ("answer", "words"), [("rejects", "is rejected"), ("gives up", "is given up"), ("says nothing", "is not answered")]
)
def test_what_is_not_done_is_tried_again_and_then_told(answer: str, words: str) -> None:
    server = Server(answer)
    server.period(CLOSED)
    assert server.goals.problem() is None
    for _ in range(200):
        server.period(CLOSED)
    assert 3 <= len(server.sent) < 30, "not in every period"
    assert words in (server.goals.problem() or "")
    server.answer = "carries out"
    server.goals.forgive()
    server.period(CLOSED)
    assert server.goals.problem() is None


def test_goals_that_change_do_not_hide_that_each_is_refused() -> None:
    server = Server("rejects")
    for number in range(100):
        server.period(OPEN if number % 2 else CLOSED)
    assert len(server.sent) < 15
    assert "is rejected" in (server.goals.problem() or "")


@pytest.mark.parametrize("seen_gone", [True, False])
def test_a_gripper_that_comes_back_gets_its_goal_again(seen_gone: bool) -> None:
    server = Server("carries out")
    server.period(CLOSED)
    if seen_gone:
        server.identity = None
        server.period(CLOSED)
    server.identity = "second"
    server.period(CLOSED)
    server.period(CLOSED)
    assert server.sent == [CLOSED, CLOSED]
