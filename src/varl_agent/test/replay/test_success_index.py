"""The rows of successful episodes, and one count of successes."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from varl_agent.replay.success_index import RECENT_EPISODES, SuccessIndex, gather

NOTHING: dict[str, Any] = {}
SUCCESS = {"is_success": True}


def steps(index: SuccessIndex, *rows: tuple[list[int], list[dict[str, Any]]]) -> None:
    for dones, infos in rows:
        index.add(np.array(dones, bool), infos)


def drawn(index: SuccessIndex) -> set[tuple[int, int]]:
    rows, envs = index.sample(20 * len(index))
    return {(int(row), int(env)) for row, env in zip(rows, envs, strict=True)}


def test_an_episode_succeeds_if_any_of_its_steps_does() -> None:
    index = SuccessIndex(100, 1)
    steps(index, ([0], [NOTHING]), ([0], [SUCCESS]))
    assert index.succeeded([NOTHING]).tolist() == [True]
    steps(index, ([1], [{"is_success": False}]), ([1], [NOTHING]))
    assert (index.ended, index.own) == (2, 1)
    assert drawn(index) == {(0, 0), (1, 0), (2, 0)}


def test_the_success_rate_is_of_the_newest_episodes_once_there_are_enough() -> None:
    index = SuccessIndex(100, 1)
    steps(index, *[([1], [NOTHING])] * 10, *[([1], [SUCCESS])] * (RECENT_EPISODES - 11))
    assert index.recent_success_rate == 0.0
    steps(index, ([1], [SUCCESS]))
    assert index.recent_success_rate == 0.5
    again = SuccessIndex(100, 1)
    again.load_state_dict(index.state_dict())
    steps(again, *[([1], [SUCCESS])] * 10)
    assert again.recent_success_rate == 1.0


def test_an_episode_in_which_a_plan_acted_can_be_drawn_but_what_releases_advice_is_the_policys_own() -> None:
    index = SuccessIndex(100, 1)
    steps(index, *[([1], [SUCCESS | {"advised": True}])] * 5, *[([1], [NOTHING])] * RECENT_EPISODES)
    assert (index.ended, index.own) == (RECENT_EPISODES + 5, 0)
    assert index.recent_success_rate == 0.0
    steps(index, *[([1], [SUCCESS | {"advised": True}])] * RECENT_EPISODES)
    assert index.recent_success_rate == 0.0
    assert len(drawn(index)) == RECENT_EPISODES + 5, "its steps are as good as any"


def test_an_episode_that_a_person_or_a_plan_had_a_hand_in_is_not_the_policys_own() -> None:
    index = SuccessIndex(100, 1)
    for step in ({"intervened": True}, {"advised": True}):
        steps(index, ([0], [NOTHING]), ([0], [step]))
        assert index.helped([NOTHING]).tolist() == [True]
        again = SuccessIndex(100, 1)
        again.load_state_dict(index.state_dict())
        for one in (index, again):
            steps(one, ([1], [SUCCESS]))
        assert (again.own, index.own) == (0, 0)
    assert len(drawn(index)) == 6, "its steps are as good as any"
    steps(index, ([0], [{"intervened": False}]), ([1], [SUCCESS]))
    assert (index.ended, index.own) == (3, 1)
    index.recount()
    assert (index.ended, index.own, len(index._recent)) == (3, 0, 0)


def test_what_is_overwritten_is_not_drawn_whichever_environment_it_is_of() -> None:
    index = SuccessIndex(10, 2)
    steps(index, *[([0, 0], [NOTHING, NOTHING])] * 3, ([0, 1], [NOTHING, SUCCESS]), ([1, 0], [SUCCESS, NOTHING]))
    assert drawn(index) == {(t, 0) for t in range(5)} | {(t, 1) for t in range(4)}
    steps(index, *[([0, 0], [NOTHING, NOTHING])] * 7)  # rows 0 and 1 are overwritten, and row 2 is next
    assert drawn(index) == {(t, env) for env, end in ((0, 5), (1, 4)) for t in range(3, end)}
    steps(index, *[([0, 0], [NOTHING, NOTHING])] * 3)
    assert len(index) == 0


def test_of_a_compact_replay_only_whole_transitions_are_drawn() -> None:
    """Where each observation is kept once, the row at the write position has lost its own."""
    space, size = spaces.Box(-1e3, 1e3, (1,), np.float32), 10
    replay = ReplayBuffer(
        size, space, space, "cpu", optimize_memory_usage=True, handle_timeout_termination=False, n_envs=1
    )
    index = SuccessIndex(size, 1)
    for t in range(25):
        before, after = np.full((1, 1), t), np.full((1, 1), t + 1)
        done = np.array([t % 4 == 3])
        replay.add(before, after, np.zeros((1, 1)), np.zeros(1), done, [SUCCESS])
        index.add(done, [SUCCESS])
        if len(index):
            batch = gather(replay, *index.sample(200))
            assert np.array_equal(batch.next_observations, batch.observations + 1)


def test_a_stand_ins_rows_are_of_no_episode() -> None:
    """Environment 1 is lost after its first step: its episode never ends, and no other's success is its own."""
    index = SuccessIndex(100, 2)
    stand_in = {"stands_in": 0, **SUCCESS}
    steps(
        index,
        ([0, 0], [NOTHING, NOTHING]),
        ([0, 0], [SUCCESS, stand_in]),
        ([1, 1], [SUCCESS, stand_in]),
        ([0, 1], [NOTHING, NOTHING]),
    )
    assert (index.ended, index.own) == (2, 1)
    assert drawn(index) == {(0, 0), (1, 0), (2, 0)}


def test_episodes_that_were_begun_anew_are_forgotten() -> None:
    index = SuccessIndex(100, 2)
    steps(index, ([0, 0], [SUCCESS, SUCCESS]))
    index.restart()
    steps(index, ([1, 0], [NOTHING, SUCCESS]), ([0, 1], [NOTHING, NOTHING]))
    assert index.own == 1
    assert drawn(index) == {(1, 1), (2, 1)}


def test_an_episode_that_begins_before_the_last_one_ended_is_one_of_its_own() -> None:
    """As where all robots were lost at once: no transition of theirs is stored until one is back."""
    index = SuccessIndex(100, 1)
    first = {"begins_episode": True}
    steps(index, ([0], [first | SUCCESS]), ([0], [NOTHING]), ([0], [first]))
    assert index.succeeded([NOTHING]).tolist() == [False]
    steps(index, ([1], [SUCCESS]))
    assert (index.ended, index.own) == (1, 1)
    assert drawn(index) == {(2, 0), (3, 0)}


def test_where_no_row_can_be_drawn_none_is() -> None:
    """Before the first success, after a load without the replay, and where the last such row is overwritten."""
    space = spaces.Box(-1, 1, (1,), np.float32)
    index = SuccessIndex(10, 1)
    assert [len(part) for part in index.sample(5)] == [0, 0]
    steps(index, ([1], [SUCCESS]))
    assert [len(part) for part in index.sample(5)] == [5, 5]
    steps(index, *[([0], [NOTHING])] * 10)
    assert [len(part) for part in index.sample(5)] == [0, 0]
    steps(index, ([1], [SUCCESS]))
    index.follow(ReplayBuffer(10, space, space, "cpu"))
    assert [len(part) for part in index.sample(5)] == [0, 0]
