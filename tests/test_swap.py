"""From simulation to a real arm only launch arguments change: the agent and the advisor are started alike."""

from pathlib import Path

import pytest
from varl_bringup.graph.node import Node
from varl_bringup.graph.programs import PROGRAMS


def nodes(program: str, folder: Path, **given: str) -> dict[str, Node]:
    arguments = {"run_dir": str(folder / "run"), "seed": "3"} | given
    return {node.name: node for node in PROGRAMS[program].graph(arguments).nodes}


@pytest.mark.parametrize("advisor", ["scripted", "sight", "openai"])
@pytest.mark.parametrize("robot", ["ur5e", "fr3", "xarm6", "gen3", "varl_arm"])
def test_agent_and_advisor_are_the_same_in_simulation_and_on_an_arm(tmp_path: Path, robot: str, advisor: str) -> None:
    """Who advises is an argument, too: by default the model in the box, which knows pictures of the simulator alone,
    in simulation, and its stand-in on an arm."""
    simulated = nodes("train_sim", tmp_path, advisor=advisor)
    real = nodes("train_real", tmp_path, robot=robot, backend="real", advisor=advisor)
    for name in ("learner", "advisor"):
        assert simulated[name] == real[name]
    assert "simulator" in simulated
    assert "simulator" not in real, "the vendor's driver is started as the vendor says"


def test_the_env_is_told_which_robot_and_what_moves_it_and_nothing_else(tmp_path: Path) -> None:
    simulated = dict(nodes("train_sim", tmp_path)["env"].parameters)
    real = dict(nodes("train_real", tmp_path, robot="ur5e", backend="real")["env"].parameters)
    assert {name for name in real if real[name] != simulated.get(name)} == {"robot_file", "backend"}
    assert set(real) == set(simulated)
