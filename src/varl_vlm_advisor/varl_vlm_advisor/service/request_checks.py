"""Whether a request makes sense; what is wrong with it, in a sentence."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from varl_common.env_description import EnvDescription
from varl_common.frame import Frame

from varl_vlm_advisor.types import State

MAX_STATES = 4096


def request_problem(env: EnvDescription, states: list[State], until: float) -> str:
    """What makes every state of a request unanswerable; empty where nothing does."""
    if not math.isfinite(until):
        return "the deadline is not a finite number of seconds"
    if len(states) > MAX_STATES:
        return f"{len(states)} states in one request; at most {MAX_STATES} are answered"
    if not env.action_names or len(set(env.action_names)) < len(env.action_names):
        return "the environment's action_names are empty or not unique"
    if not len(env.action_names) == len(env.action_units) == len(env.action_scale):
        return "the environment's action_names, action_units and action_scale differ in length"
    if not all(math.isfinite(scale) and scale > 0 for scale in env.action_scale):
        return "the environment's action_scale is not positive throughout"
    if len(env.observation_names) != len(env.observation_units):
        return "the environment's observation_names and observation_units differ in length"
    if len(env.entities) != len(env.entity_indices) or len(set(env.entities)) < len(env.entities):
        return "the environment's entities are not unique or lack their indices"
    if any(index + 3 > len(env.observation_names) for index in env.entity_indices):
        return "an entity's index points past the end of the environment's state"
    return ""


def pointing_problem(frames: list[Frame], things: list[str], until: float) -> str:
    """What makes no picture of a request answerable; empty where nothing does."""
    if not math.isfinite(until):
        return "the deadline is not a finite number of seconds"
    if len(frames) * len(things) > MAX_STATES:
        return f"{len(things)} things in {len(frames)} pictures; at most {MAX_STATES} pointings are given at once"
    if not all(thing.strip() for thing in things):
        return "a thing to point at has no words; say what it looks like: the red block"
    return ""


def state_problem(env: EnvDescription, state: State, ids: Counter[int]) -> str:
    """What makes one state unanswerable, given how often each id is in the request; empty where nothing does."""
    if ids[state.id] > 1:
        return f"the request has {ids[state.id]} states with id {state.id}"
    sizes = {"state": len(env.observation_names), "next_state": len(env.observation_names)}
    sizes["action"] = len(env.action_names)
    for name, size in sizes.items():
        values = getattr(state, name)
        if values.shape != (size,):
            return f"{name} has {values.size} elements, expected {size}"
        if not np.isfinite(values).all():
            return f"{name} is not finite"
    return ""
