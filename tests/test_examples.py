"""Each example runs as it is, for a few steps, and says what its reader expects."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
RUNS = {
    "varl_on_gymnasium.py": (["600"], r"with an advisor: return -?\d+ .* 64 states shown"),
    "own_advisor.py": (["1200"], r"(\d+) of 64 pictures showed the way"),
    "own_task.py": (["1200"], r"hover: the policy solves \d+% of 20 episodes"),
    "ros_env_with_td3.py": (["250"], r"TD3 took 250 steps on varl_arm and made 150 updates"),
    "judge_a_vlm.py": ([], r"expert, in words +1\.00 +1\.00"),
    "dataset_out_and_in.py": (["300"], r"300 transitions are demonstrations now"),
}


def test_every_example_is_run() -> None:
    assert {file.name for file in EXAMPLES.glob("*.py")} == set(RUNS)
    page = (ROOT / "docs/examples.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\| `(\w+\.py)` \|", page)) == set(RUNS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", RUNS)
def test_an_example_runs(name: str, tmp_path: Path, domain: int) -> None:
    words, expected = RUNS[name]
    if "own_advisor" in name or "judge" in name:
        pytest.importorskip("OpenGL.EGL", reason="needs EGL to render", exc_type=ImportError)
    if "dataset" in name:
        pytest.importorskip("h5py")
    environment = os.environ | {"MUJOCO_GL": "egl", "TMPDIR": str(tmp_path), "ROS_DOMAIN_ID": str(domain)}
    command = [sys.executable, str(EXAMPLES / name), *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(expected, done.stdout), done.stdout
    assert "Traceback" not in done.stderr, done.stderr
