"""A class of the entry points ``varl.tasks``: the example package."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from varl_common.errors import VarlError
from varl_common.task_plans import PLANS
from varl_robot_env.config.paths import config_file
from varl_robot_env.env.arm_env import ArmEnv
from varl_robot_env.tasks import task as tasks

EXAMPLE = Path(__file__).parents[4] / "examples" / "task_in_python"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``pip install`` would leave it, without pip."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    entry = EntryPoint("stop_at", "stop_at:StopAt", "varl.tasks")
    monkeypatch.setattr(tasks, "entry_points", lambda group: [entry] if group == entry.group else [])


def test_its_entry_point_is_what_the_test_stands_for(tmp_path: Path) -> None:
    words = [sys.executable, "setup.py", "-q", "egg_info", "-e", str(tmp_path)]
    subprocess.run(words, cwd=EXAMPLE, check=True, capture_output=True)
    assert "[varl.tasks]\nstop_at = stop_at:StopAt" in next(tmp_path.rglob("entry_points.txt")).read_text()


@pytest.mark.usefixtures("installed")
def test_success_is_what_the_class_says() -> None:
    env = ArmEnv(str(EXAMPLE / "stop_at.yaml"))
    for seed in range(5):
        state, _ = env.reset(seed=seed)
        passed = False
        for _ in range(60):
            state, _, terminated, truncated, _ = env.step(PLANS["reach"].actions(state[None], env.description)[0])
            near = np.linalg.norm(state[:3] - state[6:]) <= 0.025
            assert terminated == (near and np.linalg.norm(state[3:6]) <= 0.03)
            passed |= near and not terminated
            if terminated or truncated:
                break
        assert terminated
        assert passed, "it was there before it rested"


@pytest.mark.usefixtures("installed")
def test_its_settings_are_its_own_to_check() -> None:
    with pytest.raises(VarlError, match=r"settings: .*unknown parameter 'at_rst'; did you mean 'at_rest'"):
        tasks.load_task(EXAMPLE / "stop_at.yaml", settings={"at_rst": 1})


@pytest.mark.usefixtures("installed")
def test_a_misspelt_class_is_told() -> None:
    with pytest.raises(VarlError, match=r"'stop_it'.*did you mean 'stop_at'"):
        tasks.load_task(config_file("tasks", "reach"), python="stop_it")
