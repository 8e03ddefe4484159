"""How good must an advisor be? Its quality against what VARL learns with it: ``make bench-advisor-quality``.

Advisors: models that look (the one in the box, and any of ``models:=name=FOLDER,...``, such as another point of its
training), the same in the box without its picture, stand-ins whose words are wrong at several rates, random words, and
nobody. Each says an action a state (strategy point), so that a model's advice depends on what it sees. Quality is
``benchmarks.sight``'s: signs right, and how far off it points, as a share of the picture's width, in scenes as they
were taught and with textures and clutter that were not. Success is that of the deterministic policy at the run's end.

Rows are written as they come, with the commit; what is there is not run again. Seeds come before advisors, so that a
bench that was ended early has whole columns.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from varl_agent.sac.varl import VARL
from varl_common.arguments import Argument, complete, parse, whole_number
from varl_common.errors import VarlError, did_you_mean
from varl_common.image_codec import decode_image, encode_jpeg
from varl_common.vision.in_the_box import in_the_box
from varl_robot_env.env.arm_env import ArmEnv, Looks
from varl_vlm_advisor.backends.transformers import TransformersBackend
from varl_vlm_advisor.evaluation.metrics import agreement
from varl_vlm_advisor.training.scenes import POINTS

from benchmarks import sight
from benchmarks.advice.advisors import Labels, Random, expert_of
from benchmarks.advice.environments import ARM_TASKS, make_env
from benchmarks.advice.setting import COMMON, EVALUATION_SEED, Rewarded
from benchmarks.advice.trainer import UPDATES, Acting, advance, append, commit, examine
from benchmarks.advice.vlm import Filmed, Vlm, world_of
from benchmarks.advisor_quality_report import report

RESULTS = Path(__file__).parent / "results" / "advisor_quality"
STEPS = {"reach": 4_000, "push": 12_000, "button-press-topdown-v3": 10_000}
SCENES = ("taught", "held out")
RATES = (0.0, 0.1, 0.3, 0.5)
RUN = (
    "task",
    "scenes",
    "advisor",
    "seed",
    "steps",
    "success",
    "first_success",
    "labels",
    "advisor_s",
    "wall_s",
    "commit",
)
JUDGED = ("task", "scenes", "advisor", "signs", "point_error", "states", "commit")
WINDOW = 100  # transitions, of which each is filmed: two episodes of reach
QUESTIONS = 12  # spread over a run, of 64 states each: single actions tell less than a plan, which labels every state
EXAMS = 5  # of ten episodes each
_ARGUMENTS = (
    Argument("task", "Tasks, separated by commas.", ",".join(STEPS)),
    Argument("models", "More models that point: name=FOLDER, separated by commas."),
    Argument("advisors", "Of those that there are, these alone, separated by commas; empty: all."),
    Argument("scenes", "taught, held out or both, separated by a comma.", ",".join(SCENES)),
    Argument("seeds", "Seeds, from 0 on.", "3", check=whole_number(1)),
    Argument("count", "Scenes to judge by.", "30", check=whole_number(2)),
    Argument("out", "Folder of the rows, the table and the figure.", str(RESULTS)),
)


class Varied(gym.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """An arm whose scene has another look in each episode that is filmed."""

    def reset(self, **arguments: Any) -> tuple[np.ndarray, dict[str, Any]]:
        arm: Any = self.unwrapped
        arm.restyle(int(self.np_random.integers(2**32)))
        return self.env.reset(**arguments)


class Blind(Filmed):
    """Its pictures show nothing."""

    def _filmed(self, info: dict[str, Any]) -> dict[str, Any]:
        filmed = super()._filmed(info)
        for number, frame in enumerate(filmed.get("frames", ())):
            grey = encode_jpeg(np.full_like(decode_image(frame.jpeg), 128))
            filmed["frames"][number] = replace(frame, jpeg=grey)
        return filmed


def train(task: str, scenes: str, advisor: str, seed: int, folder: str) -> list[Any]:
    """The row of one run. ``folder``: of the model, where it is one."""
    torch.set_num_threads(1)
    np.random.seed(seed)  # noqa: NPY002 (SB3 samples its replay by the global generator)
    steps, arm = STEPS[task], task in ARM_TASKS
    env: Any = make_env(task, seed)
    if folder and arm:
        env.close()
        env = Varied(ArmEnv(ARM_TASKS[task], looks=Looks(held_out=scenes == SCENES[1], seed=seed)))
        env.reset(seed=seed)
    asked: Any = None
    with tempfile.TemporaryDirectory() as temporary:
        if folder:
            asked = Vlm(_config(folder, Path(temporary)), world_of(task, env))
            env = (Blind if advisor == "blind" else Filmed)(env, asked.world)
        elif advisor == "random":
            asked = Random(int(np.prod(env.action_space.shape)), seed)
        elif advisor != "nobody":
            asked = Labels(expert_of(task, env), float(advisor.removeprefix("stand-in ")), seed)
        venv = DummyVecEnv([lambda: Monitor(Rewarded(env, None))])
        advice: dict[str, Any] = {
            "trigger": [steps * part // QUESTIONS for part in range(1, QUESTIONS)],
            "window": WINDOW,
            "cutoff_step": steps,
            "advice_deadline": 3600.0,  # a busy machine's model is waited for
        }
        net: Any = {"net_arch": [64, 64]}
        model = VARL(
            "MlpPolicy", venv, advisor=asked, policy_kwargs=net, buffer_size=steps, seed=seed, **COMMON, **advice
        )
        model.set_logger(Logger(None, []))
        model._setup_learn(steps)
        torch.manual_seed(seed)
        began, found, act = time.monotonic(), -1, Acting(model)
        for step in range(1, steps + 1):
            advance(model, act)
            found = step if found < 0 and model.successes.own else found
            if step > model.learning_starts and step % UPDATES == 0:
                model.train(UPDATES, model.batch_size)
        with closing(make_env(task, seed + EVALUATION_SEED)) as exam:
            success = float(np.mean([examine(act, exam) for _ in range(EXAMS)]))
        venv.close()
    wall = round(time.monotonic() - began, 1)
    used, seconds = model.guidance.used, round(float(getattr(asked, "seconds", 0.0)), 1)
    return [task, scenes, advisor, seed, steps, round(success, 3), found, used, seconds, wall, commit()]


def judge(task: str, scenes: str, advisor: str, folder: str, count: int) -> list[Any]:
    """The row of an advisor's quality on one task of the arm."""
    asked = sight.held_out(task, count, unseen=scenes == SCENES[1])
    experts = np.stack([one.expert for one in asked])
    error: float | str = ""
    if folder:
        settings = TransformersBackend.Settings(model=folder, temperature=0.0, dtype="float32")
        judged = sight.Judge(TransformersBackend(settings))
        questions = [sight.grey(one.question) if advisor == "blind" else one.question for one in asked]
        answers = judged.answers(questions, f"{task}, {scenes}, {advisor}")
        signs, error = sight.signs(judged, asked, answers), round(sight.pointing_error(asked, answers), 4)
    else:
        states = np.stack([one.question.state.state for one in asked])
        rate = 0.0 if advisor == "random" else float(advisor.removeprefix("stand-in "))
        words = Labels(lambda _: experts, rate, 0).words(states, 0)
        if advisor == "random":
            words = np.random.default_rng(0).integers(-1, 2, experts.shape).astype(np.float32)
        signs = agreement(asked[0].question.env, words, experts)
    return [task, scenes, advisor, round(signs, 3), error, len(asked), commit()]


def _config(folder: str, where: Path) -> Path:
    model = {"model": folder, "temperature": 0.0, "dtype": "float32"}
    asked = {
        "backend": "transformers",
        "strategy": "point",
        "convention": POINTS,  # of what advisor-train teaches, whatever its folder is called by now
        "surface_height": sight.TABLE,
        "votes": 1,
        "cache": {"mode": "off"},
        "transformers": model,
    }
    file = where / "advisor.yaml"
    file.write_text(json.dumps({"/**/advisor": {"ros__parameters": asked}}), encoding="utf-8")
    return file


def advisors_of(models: str, only: str) -> dict[str, str]:
    """Each advisor by its name, and the folder of its model; empty: it is none."""
    named = [pair.partition("=") for pair in models.split(",") if pair]
    if wrong := [name for name, _, folder in named if not (Path(folder) / "config.json").is_file()]:
        raise VarlError(f"models: {wrong[0]} is no folder of a model; write name=FOLDER")
    found = {"in the box": str(in_the_box())} | {name: folder for name, _, folder in named}
    found |= {"blind": str(in_the_box())} | {f"stand-in {rate}": "" for rate in RATES} | {"random": "", "nobody": ""}
    chosen = [name for name in only.split(",") if name]
    for name in chosen:
        if name not in found:
            raise VarlError(f"unknown advisor {name!r}; {did_you_mean(name, list(found))}")
    return {name: found[name] for name in chosen or found}


def keys(file: Path, columns: tuple[str, ...]) -> set[tuple[str, ...]]:
    """What the rows of ``file`` are about."""
    if not file.exists():
        return set()
    with file.open(newline="") as rows:
        return {tuple(row[name] for name in columns) for row in csv.DictReader(rows)}


def main() -> int:
    """Run the command."""
    try:
        values = complete(_ARGUMENTS, parse(sys.argv[1:]))
        advisors = advisors_of(values["models"], values["advisors"])
    except VarlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    out, tasks = Path(values["out"]), values["task"].split(",")
    out.mkdir(parents=True, exist_ok=True)
    runs, quality = out / "runs.csv", out / "quality.csv"
    places = values["scenes"].split(",")
    for seed in range(int(values["seeds"])):
        for task in tasks:
            for scenes in places:
                for advisor, folder in advisors.items():
                    # What does not look is the same in every scene.
                    shown = scenes if folder and task in ARM_TASKS else "any"
                    judged = (task, shown, advisor)
                    if task in ARM_TASKS and advisor != "nobody" and judged not in keys(quality, JUDGED[:3]):
                        append(quality, [judge(*judged, folder, int(values["count"]))], JUDGED)
                    if (*judged, str(seed)) not in keys(runs, RUN[:4]):
                        row = train(*judged, seed, folder)
                        append(runs, [row], RUN)
                        report(runs, quality, out)
                        print(*row, flush=True)
    report(runs, quality, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
