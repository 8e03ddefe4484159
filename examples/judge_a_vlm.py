#!/usr/bin/env python3
"""Judge an advisor before it is trusted: ``examples/judge_a_vlm.py`` or, for a model, ``... transformers FOLDER``.

It is asked about states of the simulated tasks, as in a run. Its answers are compared with the expert's actions and
tried out, beside baselines, the same model without its picture, and the same scenes in a mirror. The command
``varl advisor-eval`` does the same and writes pages with pictures.
"""

import os
import sys

os.environ.setdefault("MUJOCO_GL", "egl")

from varl_vlm_advisor.evaluation.labelled_states import collect
from varl_vlm_advisor.evaluation.metrics import score
from varl_vlm_advisor.evaluation.predictions import ask_advisor, baselines
from varl_vlm_advisor.evaluation.worlds import make_world
from varl_vlm_advisor.service.config import config_model

backend, *folder = sys.argv[1:] or ["scripted"]
settings = {"backend": backend, "strategy": "point" if folder else "direction"}
if folder:
    settings["transformers"] = {"model": folder[0]}
config = config_model().from_dict(settings, "the arguments")

world = make_world("reach")
states = collect(world, count=8, seed=0)
judged = [
    *baselines(world.env, states, error_rate=0.1, seed=0),
    *ask_advisor(config, world.env, states, deadline=600.0),
]

print(f"{len(states)} states of reach: share of axes with the expert's sign, progress (1 is the expert's)")
for one in judged:
    result = score(world, states, one.actions)
    print(f"  {one.name:50} {result.signs:5.2f} {result.progress:5.2f}")
world.close()
