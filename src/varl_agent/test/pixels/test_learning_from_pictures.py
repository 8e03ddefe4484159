"""VARL from pictures: what it is told, what it stores, and that a run which was killed ends as one that was not."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from varl_agent.fast.fast_update import FastUpdate
from varl_agent.pixels.encoding import EncoderSettings, encoded
from varl_agent.pixels.extractors import SHIFT, moved
from varl_agent.replay.store import ReplayStore
from varl_agent.training import checkpoint
from varl_agent.training.settings import LearnerSettings, make_model
from varl_agent.vec_env.parallel_env import ParallelEnv
from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml

from .seen_point import SIDE, SeenPoint, Teacher, make_training

AGENT = Path(__file__).parents[4] / "config/agent.yaml"
STEPS = 80
KINDS = {"softmax": ("frozen", "softmax"), "embeddings": ("frozen", "embeddings"), "drq": ("drq", "softmax")}


@pytest.fixture(scope="session")
def tower(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny ViT of random weights."""
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=SIDE, patch_size=8
    )
    folder = tmp_path_factory.mktemp("tower")
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    return str(folder)


def settings(kind: str, tower: str) -> EncoderSettings:
    encoder, head = KINDS[kind]
    return EncoderSettings(kind=encoder, tower=tower, head=head, keep_pictures=True)  # type: ignore[arg-type]


def replay(path: Path) -> ReplayStore:
    return ReplayStore(path / "replay", writable=False)


def weights(path: Path) -> bytes:
    _, state = checkpoint.load(checkpoint.list_checkpoints(path / "checkpoints")[-1])
    return b"".join(tensor.numpy().tobytes() for tensor in state["model"]["parameters"]["policy"].values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_target_is_seen_and_not_told(tmp_path: Path, tower: str, kind: str) -> None:
    training = make_training(tmp_path, settings(kind, tower), STEPS)
    model, env = training.model, training.env.envs[0]
    assert isinstance(model._chosen_update(), FastUpdate) == (kind == "softmax")
    observation, _ = env.reset(seed=1)

    def features(changed: Any) -> torch.Tensor:
        tensors, _ = model.policy.obs_to_tensor(changed)
        return model.actor.extract_features(tensors, model.actor.features_extractor)

    model.policy.set_training_mode(False)
    told = {k: v.copy() for k, v in observation.items()} if kind == "drq" else observation.copy()
    (told["state"] if kind == "drq" else told)[2:4] = 0.123
    assert torch.equal(features(observation), features(told)), "the target's place is hidden"
    env.unwrapped.places[2:] *= -1
    other = env.seen(env.unwrapped._seen(), {"state": env.unwrapped.places})
    assert not torch.equal(features(observation), features(other)), "but it is in the picture"
    model.replay_buffer.store.close()


@pytest.mark.parametrize("recipe", ["varl", "paper", "sac"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_hidden_stays_so_by_any_recipe(tower: str, kind: str, recipe: str) -> None:
    values = load_yaml(AGENT)["/**/learner"]["ros__parameters"] | {"run_dir": "/nowhere", "recipe": recipe}
    values["sac"] |= {"buffer_size": 10, "device": "cpu", "update": "autograd"}
    chosen = LearnerSettings.from_dict(values, "the test").model_copy(update={"encoder": settings(kind, tower)})
    point = SeenPoint()
    point.description = replace(point.description, observation_high=np.full(4, 3, np.float32))  # -1..3
    env = ParallelEnv([encoded(point, chosen.encoder)], 0)
    model = make_model(chosen, env, None, True, None)
    observation, _ = env.envs[0].reset(seed=1)
    model.policy.set_training_mode(False)
    wanted = point.places[:2] if recipe != "varl" else (point.places[:2] - 1) / 2
    for network in (model.actor, model.critic, model.critic_target):
        tensors, _ = model.policy.obs_to_tensor(observation)
        features = network.extract_features(tensors, network.features_extractor).detach().numpy()[0]
        state = features[:4] if kind == "softmax" else features[-4:]
        np.testing.assert_allclose(state, [*wanted, 0, 0], atol=1e-6)
    assert model.policy.layer_norm == (recipe == "varl")
    assert model.policy.net_arch == (list(chosen.sac.net_arch) if recipe == "varl" else [256, 256])


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_is_killed_ends_as_one_that_is_not(tmp_path: Path, tower: str, kind: str) -> None:
    chosen = settings(kind, tower)

    def train(path: Path, kill_at: int = 0) -> None:
        training = make_training(path, chosen, STEPS)
        if checkpoint.list_checkpoints(training.folder.checkpoints):
            training.resume(*checkpoint.load_newest(training.folder.checkpoints, training.identity))
        if kill_at:
            observe = training.observe

            def watch() -> None:
                observe()
                if training.model.num_timesteps == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

            training.observe = watch  # type: ignore[method-assign]
        training.run()
        assert isinstance(training.model.advisor, Teacher)
        assert all(np.abs(shown[:, 2:4]).max() > 0 for shown in training.model.advisor.shown), "advisors are told"
        assert training.model.guidance.queries == 2
        training.close()

    fork = multiprocessing.get_context("fork")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for path, kills in ((whole, [0]), (killed, [33, 57, 0])):
        for kill in kills:
            process = fork.Process(target=train, args=(path, kill))
            process.start()
            process.join()
            assert process.exitcode == (-signal.SIGKILL if kill else 0)
            store = replay(path)
            seen = store.take(np.arange(store.count))
            before, after = (store.frames("eye", seen[f"{which}frame/eye"]) for which in ("", "next_"))
            assert before.any(axis=(1, 2, 3)).all()
            assert after.any(axis=(1, 2, 3)).all()
            again = seen["next_frame/eye"][:-1] == seen["frame/eye"][1:]
            assert (again | (seen["done"][:-1] == 1)).all(), "a picture is stored once"
            store.close()
    one, other = replay(whole), replay(killed)
    times = np.arange(STEPS)
    assert one.take(times).tobytes() == other.take(times).tobytes()
    for which in ("", "next_"):
        pictures = [store.frames("eye", store.take(times)[f"{which}frame/eye"]) for store in (one, other)]
        np.testing.assert_array_equal(*pictures)
    assert weights(whole) == weights(killed)


def test_what_is_shown_is_moved_by_chance_and_by_no_more_than_it_may(tower: str) -> None:
    torch.manual_seed(0)
    picture = torch.zeros(1, 1, 24, 24)
    picture[..., 12, 12] = 1.0
    found = {tuple(torch.nonzero(moved(picture)[0, 0])[0].tolist()) for _ in range(400)}
    assert len(found) > 40
    assert all(abs(row - 12) <= SHIFT and abs(column - 12) <= SHIFT for row, column in found)


def test_other_weights_are_another_policy(tmp_path: Path, tower: str) -> None:
    chosen = settings("softmax", tower)
    training = make_training(tmp_path, chosen, 25)
    training.run()
    training.close()
    from transformers import ViTModel

    changed = ViTModel.from_pretrained(tower, add_pooling_layer=False)
    with torch.no_grad():
        changed.layernorm.weight[0] += 1.0
    changed.save_pretrained(tmp_path / "other")
    other = make_training(tmp_path / "run", settings("softmax", str(tmp_path / "other")), 25)
    with pytest.raises(VarlError, match="observations"):
        checkpoint.load_newest(training.folder.checkpoints, other.identity)
    other.model.replay_buffer.store.close()


@pytest.mark.parametrize("missing", ["", "/nowhere/at/all"])
def test_a_tower_that_is_not_there_is_told_with_the_remedy(missing: str) -> None:
    with pytest.raises(VarlError, match=r"name a vision model|encoder\.tower names"):
        encoded(SeenPoint(), EncoderSettings(kind="frozen", tower=missing, head="softmax", keep_pictures=False))
