"""The compiled evaluation of plans gives what the plans themselves do."""

from types import SimpleNamespace

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_common.plan import Phase, Plan, vote

labelling = pytest.importorskip("varl_agent.advice.plan_labels", reason="needs numba")

SCENE = SimpleNamespace(
    observation_names=["x", "y", "z", "gripper", "a", "b", "c", "t", "u", "v"],
    observation_low=[-1.0] * 3 + [0.0] + [-1.0] * 6,
    observation_high=[1.0] * 3 + [0.08] + [1.0] * 6,
    action_names=["dx", "turn", "dz", "gripper", "dy"],
    action_scale=[0.01, 1.0, 0.02, 1.0, 0.03],
    entities=["tool", "block", "target"],
    entity_indices=[0, 4, 7],
)


def near(rng: np.random.Generator, n: int) -> np.ndarray:
    """States in which everything is within decimetres, so that tools are in corridors and grasps are held."""
    states = rng.normal(0.0, 0.05, (n, 10))
    states[:, 3] = rng.uniform(0.0, 0.08, n)
    return states.astype(np.float32)


def some_plan(rng: np.random.Generator) -> Plan:
    def phase() -> Phase:
        offset = tuple(float(x) for x in rng.normal(0.0, 0.03, 3))
        opposite = str(rng.choice(["", "target", "tool"]))
        gripper, tolerance = float(rng.choice([-1.0, 0.0, 0.5, 1.0])), float(rng.uniform(0.02, 0.1))
        subgoal = {
            "brings": "block",
            "to": str(rng.choice(["target", "tool"])),
            "within": float(rng.uniform(0.05, 0.15)),
        }
        ends_a_stage = rng.random() < 0.2
        return Phase(
            str(rng.choice(["block", "target"])),
            offset,  # type: ignore[arg-type]
            gripper,
            tolerance,
            opposite,
            0.05,
            **(subgoal if ends_a_stage else {}),  # type: ignore[arg-type]
        )

    return Plan(tuple(phase() for _ in range(rng.integers(1, 6))))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_it_gives_what_the_plans_themselves_vote_for(count: int) -> None:
    rng = np.random.default_rng(count)
    seen: set[int] = set()
    for _ in range(50):
        plans, states = [some_plan(rng) for _ in range(count)], near(rng, 200)
        expected = vote([plan.actions(states, SCENE) for plan in plans])
        np.testing.assert_allclose(labelling.Labeller(plans, SCENE)(states), expected, atol=1e-4)
        seen |= set(plans[0].phase_of(states, SCENE, plans[0].places(states, SCENE)).tolist())
    assert seen == {0, 1, 2, 3, 4}, "every phase is somewhere the active one"


def test_a_scene_without_a_gripper_and_states_that_lie_apart_in_memory() -> None:
    names = ["x", "y", "z", "g", *SCENE.observation_names[4:]]
    scene = SimpleNamespace(**{**vars(SCENE), "observation_names": names, "action_names": ["dx", "dy", "dz", "a", "b"]})
    rng = np.random.default_rng(0)
    plans, states = [some_plan(rng) for _ in range(3)], near(rng, 400)[::2]
    expected = vote([plan.actions(states, scene) for plan in plans])
    np.testing.assert_allclose(labelling.Labeller(plans, scene)(states), expected, atol=1e-4)


def test_states_of_another_scene_are_refused() -> None:
    with pytest.raises(VarlError, match="9 numbers, expected 10 of this scene"):
        labelling.Labeller([Plan((Phase("target"),))], SCENE)(np.zeros((2, 9), np.float32))
