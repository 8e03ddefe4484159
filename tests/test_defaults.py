"""One set of defaults: the class, the arm's file and the bench agree but for what docs/defaults.md says."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml
from stable_baselines3 import SAC
from varl_agent.sac.policies import VARLPolicy
from varl_agent.sac.presets import PRESET_NAMES, preset
from varl_agent.sac.varl import VARL

ROOT = Path(__file__).parents[1]
SPECIAL = {"net_arch", "layer_norm"}  # the policy's, not the class's


def of_the_class() -> dict[str, Any]:
    parameters = inspect.signature(VARL).parameters
    defaults = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
    layer_norm = inspect.signature(VARLPolicy).parameters["layer_norm"].default
    return {**defaults, "net_arch": [256, 256], "layer_norm": layer_norm}


def of_the_arm() -> dict[str, Any]:
    values = yaml.safe_load((ROOT / "config/agent.yaml").read_text())["/**/learner"]["ros__parameters"]
    renamed = {"delay": "advice_delay", "deadline": "advice_deadline"}
    both = {**values["sac"], **{renamed.get(name, name): value for name, value in values["advice"].items()}}
    both["max_grad_norm"] = both["max_grad_norm"] or None
    return {name: value for name, value in both.items() if name not in ("utd", "backlog", "device")}


def of_the_bench() -> dict[str, Any]:
    setting = pytest.importorskip("benchmarks.advice.setting")
    return {**setting.COMMON, **setting.METHODS["varl"][1], "net_arch": [setting.Setting.net] * 2}


def table() -> dict[str, list[str]]:
    """Setting: what the class, the arm and the bench have, as the page says, and why."""
    lines = [line for line in (ROOT / "docs/defaults.md").read_text().splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in rows}


def same(value: Any, other: Any) -> bool:
    return list(value) == list(other) if isinstance(value, list | tuple) else value == other


def written(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("place", ["arm", "bench"])
def test_what_differs_from_the_class_stands_in_the_table(place: str) -> None:
    ours, theirs = of_the_class(), of_the_arm() if place == "arm" else of_the_bench()
    column = 1 if place == "arm" else 2
    assert set(theirs) <= set(ours)
    rows = table()
    different = {name for name, value in theirs.items() if not same(value, ours[name])}
    assert different <= set(rows)
    for name, cells in rows.items():
        assert cells[0] == written(ours[name])
        assert len(cells) == 4
        assert cells[3], "each difference has a reason"
        if name in theirs:
            assert cells[column] == written(theirs[name]), name


def test_each_row_is_of_a_difference() -> None:
    for name, cells in table().items():
        assert len(set(cells[:3])) > 1, f"{name} is the same everywhere"


def test_the_preset_sac_is_stable_baselines3s() -> None:
    parameters = inspect.signature(SAC).parameters
    for name, value in preset("sac").items():
        if name in parameters and name != "policy_kwargs":
            assert value == parameters[name].default, name
    assert preset("sac")["policy_kwargs"] == {"net_arch": [256, 256], "layer_norm": False, "scaled_inputs": False}


def test_the_preset_paper_is_as_published() -> None:
    """Each value that arXiv 2509.21126 gives, and nothing of what this project adds to it."""
    published: dict[str, Any] = {
        "queries": 3,
        "lambda": (10.0, 50.0),
        "N_s": (20_000, 40_000),
        "cutoff": "hard",
    }
    paper = preset("paper")
    assert len(paper["trigger"]) == published["queries"]
    assert published["lambda"][0] <= paper["guidance_weight"] <= published["lambda"][1]
    assert published["N_s"][0] <= paper["cutoff_step"] <= published["N_s"][1]
    assert paper["cutoff"] == published["cutoff"]
    assert paper["gate"] == "log-prob-joint", "closed where the advice is likely"
    assert paper["success_fraction"] == paper["imitation_weight"] == 0.0
    assert not paper["policy_kwargs"]["layer_norm"]
    algorithm = {name: value for name, value in preset("sac").items() if name != "policy_kwargs"}
    assert algorithm.items() <= paper.items(), "critics, temperature and targets are SAC's own"


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_a_preset_makes_a_model(name: str) -> None:
    model = VARL("MlpPolicy", "Pendulum-v1", **preset(name, policy_kwargs={"net_arch": [16, 16]}, seed=0, device="cpu"))
    assert model.policy.net_arch == [16, 16]
