"""An exported policy acts as the one that it was made of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from varl_agent.deployment import export
from varl_agent.deployment.export import export_policy
from varl_agent.training.run_folder import RunFolder
from varl_common.errors import VarlError

# Bounds that are not [-1, 1], so that a policy without the scaling would act otherwise.
LOW, HIGH = [-0.5, 0.0, -1.0, 0.2], [0.5, 3.0, 1.0, 0.4]


@pytest.fixture
def run(
    make_training: Callable[..., Any], point_reach: type, describe: Callable[..., Any], tmp_path: Path
) -> tuple[RunFolder, Any]:
    """A short run's folder, and its model."""

    class Scaled(point_reach):  # type: ignore[valid-type, misc]
        def __init__(self) -> None:
            super().__init__()
            self.observation_space = export.Box(np.float32(LOW), np.float32(HIGH))

    training = make_training(Scaled, tmp_path / "run", steps=60, update="autograd")
    training.run()
    describe(training, observation_low=LOW, observation_high=HIGH)
    return training.folder, training.model


def test_what_is_written_acts_as_the_policy_for_any_number_of_states(run: tuple[RunFolder, Any]) -> None:
    folder, model = run
    path, difference = export_policy(folder.path)
    assert difference < 1e-6
    about = json.loads(path.with_suffix(".json").read_text())
    assert (about["observation_names"], about["control_period"], about["step"]) == (["x", "y", "tx", "ty"], 0.05, 60)
    program = torch.export.load(path).module()
    for count in (1, 7):
        states = np.random.default_rng(1).uniform(LOW, HIGH, (count, 4)).astype(np.float32)
        wanted, _ = model.predict(states, deterministic=True)
        assert np.abs(program(torch.from_numpy(states)).detach().numpy() - wanted).max() < 1e-6
    unscaled = torch.nn.Sequential(model.actor.latent_pi, model.actor.mu, torch.nn.Tanh())
    assert np.abs(unscaled(torch.from_numpy(states)).detach().numpy() - wanted).max() > 1e-3, "the scaling matters"


def test_onnx_acts_as_the_policy(run: tuple[RunFolder, Any], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    path, difference = export_policy(run[0].path, "onnx", tmp_path / "elsewhere/arm.onnx")
    assert difference < 1e-6
    assert path == tmp_path / "elsewhere/arm.onnx"
    assert path.with_suffix(".json").is_file()


def test_a_file_that_acts_otherwise_is_not_kept(run: tuple[RunFolder, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, model = run

    def wrong(module: Any, path: Path) -> Any:
        path.write_bytes(b"a program")
        return lambda states: model.predict(states, deterministic=True)[0] + 1e-4

    monkeypatch.setattr(export, "_write_torch", wrong)
    with pytest.raises(VarlError, match=r"acts otherwise, by 0\.0001"):
        export_policy(folder.path)
    assert not list(folder.path.glob("*policy*"))


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VarlError, match="holds no run"):
        export_policy(tmp_path)
