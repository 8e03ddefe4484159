"""Any task file is one of two things: it runs and keeps its word, or it is refused in a sentence.

What a file that runs keeps: things start inside of their ranges and as far from each other as it says, as the simulator
sees them; the same seed begins the same episode, with the arm at home; what is observed is within its bounds; and
success is what its rule says, judged here by other code from where the simulator has things.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from varl_common.errors import VarlError
from varl_robot_env.config.paths import config_file
from varl_robot_env.config.robot import RobotConfig
from varl_robot_env.env.arm_env import ArmEnv
from varl_robot_env.kinematics.kinematics import Kinematics

FILES, STEPS = 200, 20
ROBOT = RobotConfig.from_yaml(config_file("robots", "varl_arm"))
KINEMATICS = Kinematics(ROBOT.urdf_text(), ROBOT.joints, ROBOT.base_frame, ROBOT.tool_frame)
NAMES = ("cup", "lid", "spot")


def number(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda value: round(value, 4))


@st.composite
def an_object(draw: st.DrawFn, moves: bool) -> dict[str, Any]:
    shape = draw(st.sampled_from(["box", "cylinder", "cone", "sphere"]))
    count = {"box": 3, "cylinder": 2, "cone": 2, "sphere": 1}[shape]
    size = [draw(number(0.01, 0.05)) for _ in range(count)]
    made: dict[str, Any] = {"shape": shape, "size": size, "color": draw(st.sampled_from(["red", "blue", "wood"]))}
    if moves:
        made |= {"mass": draw(number(0.01, 0.5)), "friction": draw(number(0.2, 1.5))}
    elif draw(st.booleans()):
        made["mark"] = True
    return made


@st.composite
def a_start(draw: st.DrawFn, before: list[str]) -> dict[str, Any]:
    x, y = draw(number(0.30, 0.48)), draw(number(-0.18, 0.10))
    wide, deep = draw(number(0.0, 0.06)), draw(number(0.0, 0.1))
    if draw(st.booleans()):
        start: dict[str, Any] = {"low": [x, y], "high": [x + wide, y + deep], "height": draw(number(0.03, 0.1))}
    elif draw(st.booleans()):
        start = {"at": [x, y, draw(number(0.03, 0.25))]}
    else:
        z = draw(number(0.03, 0.2))
        start = {"low": [x, y, z], "high": [x + wide, y + deep, z + 0.05]}
    if draw(st.booleans()):
        start["yaw"] = [0.0, draw(number(0.0, 3.0))]
    if draw(st.booleans()):
        start["away_from"] = {draw(st.sampled_from(["tool", *before])): draw(number(0.001, 0.03))}
    return start


def rules(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    bound = st.sampled_from(["at_most", "at_least"])
    held = st.integers(1, 4)
    all_names = st.sampled_from(["tool", *names])
    leaves = st.one_of(
        st.builds(
            lambda order, word, far, k: {"distance": order[:2], word: far, "held": k},
            st.permutations(["tool", *names]), bound, number(0.001, 0.4), held,
        ),
        st.builds(lambda a, word, z, k: {"height": a, word: z, "held": k}, all_names, bound, number(0.0, 0.3), held),
        st.builds(
            lambda a, z, k: {"inside": a, "low": [0.2, -0.2, z], "high": [0.5, 0.2, 0.3], "held": k},
            all_names, number(0.0, 0.25), held,
        ),
        st.builds(
            lambda a, along, far: {"opening": a, "along": [along, 0, 1], "at_least": far},
            all_names, number(-1.0, 1.0), number(0.0, 0.1),
        ),
    )  # fmt: skip
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(
                lambda word, some, k: {word: some, "held": k},
                st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3), held,
            ),
            st.builds(lambda one: {"not": one}, inner),
        ),
        max_leaves=4,
    )  # fmt: skip


@st.composite
def a_good_file(draw: st.DrawFn) -> dict[str, Any]:
    things: dict[str, Any] = {}
    for name in NAMES[: draw(st.integers(1, 3))]:
        moves = draw(st.booleans())
        source = draw(st.sampled_from(["marker", "color", "vlm", "simulator"])) if moves else "fixed"
        things[name] = {"from": source, "object": draw(an_object(moves)), "start": draw(a_start(list(things)))}
    names = list(things)
    observe = ["tool", *draw(st.permutations(["velocity", *names, *draw(st.sets(st.sampled_from(names)).map(sorted))]))]
    act = ["dx", "dy", "dz", *draw(st.sampled_from([[], ["gripper"]]))]
    finer = draw(st.sampled_from(["yaw", "near"]))
    return {
        "task": "any",
        "instruction": f"Do something with {{{names[0]}}}.",
        "max_episode_steps": draw(st.integers(1, 30)),
        "things": things,
        "observe": [f"{item}.{finer}" if item in observe[:i] else item for i, item in enumerate(observe)],
        "act": act,
        "success": draw(rules(names)),
        "dense": [["tool", name] for name in names],
    }


PATHS = (
    "task", "max_episode_steps", "things", "things.cup.from", "things.cup.object.size", "things.cup.object.mass",
    "things.cup.start.low", "things.cup.start.at", "things.cup.start.away_from", "things.cup.strat", "observe", "act",
    "success", "sucess", "dense", "instruction", "python",
)  # fmt: skip
NONSENSE = (None, True, -1, 0, "cup", "nobody", [], [9, 9, 9], [0.3, "x"], {}, {"nobody": 0.1}, {"distence": ["tool"]})


@st.composite
def a_file(draw: st.DrawFn) -> dict[str, Any]:
    """A good one, or in three of ten cases one in which something is put elsewhere."""
    values = draw(a_good_file())
    if draw(st.integers(0, 9)) > 6:
        *way, last = draw(st.sampled_from(PATHS)).split(".")
        inner = values
        for name in way:
            inner = inner[name]
        inner[last] = draw(st.sampled_from(NONSENSE))
    return values


def place(env: ArmEnv, name: str) -> np.ndarray:
    """(3,) of a thing, or of the tool, where the simulator has it."""
    if name == "tool":
        positions = dict(zip(env.arm.simulation.joint_names, env.arm.simulation.joints()[0], strict=True))
        return KINEMATICS.forward(np.array([positions[joint] for joint in ROBOT.joints]))[0]
    return env.arm.simulation.entities()[name][:3]


def holds(rule: dict[str, Any], at: dict[str, np.ndarray], first: dict[str, np.ndarray], streaks: Counter[int]) -> bool:
    """What a rule says, by its words."""
    if "not" in rule:
        now = not holds(rule["not"], at, first, streaks)
    elif "all" in rule or "any" in rule:
        said = [holds(one, at, first, streaks) for one in rule.get("all", rule.get("any"))]
        now = all(said) if "all" in rule else any(said)
    elif "inside" in rule:
        now = all(l <= p <= h for l, p, h in zip(rule["low"], at[rule["inside"]], rule["high"], strict=True))  # noqa: E741
    else:
        if "distance" in rule:
            value = float(np.linalg.norm(np.subtract(*(at[name] for name in rule["distance"]))))
        elif "height" in rule:
            value = at[rule["height"]][2]
        else:
            along = np.array(rule["along"]) / np.linalg.norm(rule["along"])
            value = float((at[rule["opening"]] - first[rule["opening"]]) @ along)
        now = rule.get("at_least", -np.inf) <= value <= rule.get("at_most", np.inf)
    streaks[id(rule)] = streaks[id(rule)] + 1 if now else 0
    return streaks[id(rule)] >= rule.get("held", 1)


def check_scene(values: dict[str, Any], env: ArmEnv) -> None:
    at = {name: place(env, name) for name in ("tool", *values["things"])}
    for name, thing in values["things"].items():
        start = thing["start"]
        low, high = start.get("low", start.get("at")), start.get("high", start.get("at"))
        assert (at[name][: len(low)] >= np.array(low) - 1e-9).all()
        assert (at[name][: len(high)] <= np.array(high) + 1e-9).all()
        for other, far in start.get("away_from", {}).items():
            assert np.linalg.norm(at[name] - at[other]) >= far - 1e-4  # the tool is at home to within so much


def check_near(values: dict[str, Any], env: ArmEnv, state: np.ndarray) -> None:
    """What is seen of a thing from the tool on is the difference of their places, as far as 3 cm."""
    names = env.description.observation_names
    for item in values["observe"]:
        thing, _, finer = item.partition(".")
        if finer == "near":
            first = names.index(f"{thing}_near_x")
            apart = np.clip(place(env, thing) - place(env, "tool"), -0.03, 0.03)
            np.testing.assert_allclose(state[first : first + 3], apart, atol=1e-6)


def run(values: dict[str, Any], env: ArmEnv) -> None:
    state, _ = env.reset(seed=5)
    assert len(state) == len(env.description.observation_names)
    np.testing.assert_allclose(place(env, "tool"), KINEMATICS.forward(np.array(ROBOT.home))[0], atol=1e-6)
    check_scene(values, env)
    first, streaks = {name: place(env, name) for name in ("tool", *values["things"])}, Counter[int]()
    rng = np.random.default_rng(0)
    for step in range(1, STEPS + 1):
        state, reward, terminated, truncated, info = env.step(rng.uniform(-1, 1, len(values["act"])).astype(np.float32))
        assert env.observation_space.contains(state)
        check_near(values, env, state)
        at = {name: place(env, name) for name in first}
        expected = holds(values["success"], at, first, streaks)
        assert terminated == info["is_success"] == expected
        assert reward == float(expected)
        assert truncated == (not expected and step >= values["max_episode_steps"])
        if terminated or truncated:
            break
    again = env.reset(seed=5)[0]
    check_scene(values, env)
    np.testing.assert_array_equal(again, env.reset(seed=5)[0])


def test_any_task_file_runs_or_is_refused_in_a_sentence(tmp_path: Path) -> None:
    ran: list[Any] = []
    refused: list[str] = []
    file = tmp_path / "any.yaml"

    @settings(max_examples=FILES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(a_file())
    def one(values: dict[str, Any]) -> None:
        file.write_text(yaml.safe_dump(values))
        try:
            env = ArmEnv(str(file))
            env.reset(seed=0)
        except VarlError as error:
            refused.append(str(error))
            return
        run(values, env)
        env.close()
        ran.append(values)

    one()
    assert len(ran) + len(refused) >= FILES
    assert len(ran) >= FILES / 2
    assert len(refused) >= FILES / 10
    for sentence in refused:
        assert re.fullmatch(r"[^\n]{20,}", sentence), sentence
