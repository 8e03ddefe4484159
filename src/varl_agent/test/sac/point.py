"""A point that is to come to a target, who advises it, and a small VARL that learns it."""

from concurrent.futures import Future
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import torch as th
from varl_agent.advice.messages import AdviceAnswer, finished
from varl_agent.sac.presets import preset
from varl_agent.sac.varl import VARL

# Plain SAC with advice as labels: what is not under test is left out.
PLAIN = preset("paper", gate="distance")


SMALL = {"learning_starts": 20, "batch_size": 16, "buffer_size": 1_000, "seed": 3, "device": "cpu"}


class PointEnv(gym.Env):
    """A point in a box that is to come to a target; sparse. It executes actions within +-``limit`` and says so."""

    def __init__(self, as_dict=False, limit=0.5):
        self.limit = limit
        box = gym.spaces.Box(np.full(6, -1, np.float32), np.full(6, 2, np.float32))
        self.as_dict = as_dict
        parts = {"goal": gym.spaces.Box(box.low[3:], box.high[3:]), "tool": gym.spaces.Box(box.low[:3], box.high[:3])}
        self.observation_space = gym.spaces.Dict(parts) if as_dict else box
        self.action_space = gym.spaces.Box(-1.0, 1.0, (3,), np.float32)
        self.capture = False
        self.description = SimpleNamespace(
            observation_names=list("xyzuvw"),
            observation_low=box.low,
            observation_high=box.high,
            action_names=["dx", "dy", "dz"],
            action_scale=np.full(3, 0.1),
            entities=["tool", "target"],
            entity_indices=[0, 3],
        )

    def _observe(self):
        return {"goal": self.goal, "tool": self.tool} if self.as_dict else np.concatenate([self.tool, self.goal])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.tool, self.t = np.zeros(3, np.float32), 0
        self.goal = self.np_random.uniform(-0.5, 0.5, 3).astype(np.float32)
        return self._observe(), {"frames": ["reset"]} if self.capture else {}

    def step(self, action):
        self.t += 1
        executed = action if self.limit is None else np.clip(action, -self.limit, self.limit)
        self.tool = np.clip(self.tool + 0.1 * executed, -1, 1).astype(np.float32)
        won = bool(np.linalg.norm(self.tool - self.goal) < 0.1)
        info = {"is_success": won, **({} if self.limit is None else {"executed_action": executed})}
        if self.capture:
            info["frames"] = [self.t]
        return self._observe(), float(won), won, self.t >= 15, info


class Scripted:
    """Points at the target; ``spoil`` alters its answers, ``hold`` leaves them unfinished."""

    def __init__(self, spoil=lambda actions: actions, plan=None, hold=False):
        self.spoil, self.plan, self.hold, self.queries, self.futures = spoil, plan, hold, [], []

    def ask(self, query):
        self.queries.append(query)
        actions = np.sign(query.states[:, 3:6] - query.states[:, :3])
        answer = AdviceAnswer.of(self.spoil(actions), "scripted", self.plan)
        self.futures.append((Future() if self.hold else finished(answer), answer))
        return self.futures[-1][0]


def make(advisor=None, env=None, policy="MlpPolicy", **kwargs):
    settings = {**PLAIN, "trigger": [30, 60], "states_per_query": 10, "update": "autograd", **SMALL, **kwargs}
    net = {"net_arch": [16, 16], "layer_norm": True, "scaled_inputs": True, **kwargs.get("policy_kwargs", {})}
    settings.pop("policy_kwargs")
    return VARL(policy, env or PointEnv(), advisor=advisor, policy_kwargs=net, **settings)


def weights(model):
    return list(model.policy.state_dict().values())


def same(one, other):
    return all(th.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))
