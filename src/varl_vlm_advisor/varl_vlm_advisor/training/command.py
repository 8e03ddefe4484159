"""``varl advisor-train``: teach a model to advise on your scenes, and tell what that brought."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from varl_common.arguments import Argument, complete, positive_number, whole_number
from varl_common.errors import VarlError
from varl_common.tool import run_tool

from varl_vlm_advisor.evaluation import command as evaluation
from varl_vlm_advisor.training import examples, scenes
from varl_vlm_advisor.training.demonstrations import of_demonstrations
from varl_vlm_advisor.training.examples import Example
from varl_vlm_advisor.training.settings import Settings


def _width(value: str) -> int:
    """A check: what heads of attention, and waves over rows and columns, share out evenly."""
    if not value.isdecimal() or int(value) < 32 or int(value) % 16:
        raise ValueError("expected a multiple of 16, 32 or more")
    return int(value)


ARGUMENTS = (
    Argument("model", "Whom to teach: a folder, a name on the hub, or small: a new one of few weights.", "small"),
    Argument("width", "Features a token of a new small model; half: a quarter of the weights.", "256", check=_width),
    Argument("task", "Tasks to teach, separated by commas: of reach, push, lift.", "reach,push,lift"),
    Argument("count", "Examples of each task, each in a scene with a look of its own.", "4800", check=whole_number(1)),
    Argument("states", "Folder of states that advisor-eval keeps, to learn from these in place of new scenes."),
    Argument("demonstrations", "LeRobot dataset with pictures, to learn from; strategy:=direction, and one task."),
    Argument("strategy", "What is asked, with states, and judged by: point, direction or plan.", "point"),
    Argument("steps", "Steps of training, in all.", "2600", check=whole_number(1)),
    Argument("pointing", "Steps in which a new small model learns to point, before.", "2200", check=whole_number(0)),
    Argument("batch", "Examples a step.", "8", check=whole_number(1)),
    Argument("rate", "Learning rate; empty: by the model's size.", check=positive_number),
    Argument("lora", "Whether to adapt by LoRA (needs peft) in place of all weights; empty: from 300 M weights on."),
    Argument("device", "cpu, cuda, cuda:1.", "cpu"),
    Argument("seed", "Of scenes and training. States to judge by have another.", "0", check=whole_number(0)),
    Argument("judge", "States of each task that before and after are judged on; 0: none.", "24", check=whole_number(0)),
    Argument("out", "Folder of scenes, checkpoints and what comes out. The same again goes on.", "runs/advisor-train"),
)  # fmt: skip
_READ = 1000
"""Examples by which a new tokenizer learns what is often said."""
_JUDGED_SEED = 7919
"""Added to the seed: scenes that are judged on are never those that were taught."""


def train(values: dict[str, str]) -> None:
    """Teach a model, by the value of each of :data:`ARGUMENTS`.

    Raises:
        VarlError: an argument, the model or the machine is wrong, with the remedy.
        KeyboardInterrupt: ended by Ctrl-C; the same command goes on from there.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    settings = _settings(values)
    try:
        from transformers.utils.logging import disable_progress_bar

        from varl_vlm_advisor.training import trainer
    except ImportError as error:
        raise VarlError(f"advisor-train needs {error.name}; pip install {error.name}") from None

    if not sys.stderr.isatty():
        disable_progress_bar()  # in a file each of a bar's states is a line
    out = Path(values["out"]).expanduser()
    taught = _examples(values, out)
    print(f"{len(taught)} examples", flush=True)
    if values["model"] == "small":
        model, processor = _new(values, taught, settings, out)
    else:
        _judge(values, values["model"], out / "before")
        model, processor = trainer.load(values["model"])
        model = trainer.train(model, processor, taught, settings, out / "checkpoints")
    trainer.save(model, processor, out / scenes.MODEL)
    _judge(values, str(out / scenes.MODEL), out / "after")
    print(f"\n{out / scenes.MODEL}: ask it with advisor:=transformers and transformers.model set to this folder")
    print(f"By the folder's name the advisor knows how it points; under another set convention: {scenes.POINTS}")


def run() -> None:
    """The console script."""
    run_tool("advisor-train", "Teach a model to advise on your scenes.", ARGUMENTS, _train)


def _train(values: dict[str, str]) -> None:
    try:
        train(values)
    except KeyboardInterrupt:
        print("ended; the same command goes on from here", file=sys.stderr)
        raise


def _settings(values: dict[str, str]) -> Settings:
    if values["lora"] not in ("", "true", "false"):
        raise VarlError(f"lora:={values['lora']} is neither true nor false")
    return Settings(
        steps=int(values["steps"]),
        batch=int(values["batch"]),
        rate=float(values["rate"] or 0.0),
        lora=None if not values["lora"] else values["lora"] == "true",
        device=values["device"],
        seed=int(values["seed"]),
    )


def _examples(values: dict[str, str], out: Path) -> list[Example]:
    tasks = [task for task in values["task"].split(",") if task]
    if values["demonstrations"]:
        if values["strategy"] != "direction" or len(tasks) != 1 or values["states"]:
            raise VarlError("demonstrations tell directions in one task; add strategy:=direction task:=..., no states")
        return of_demonstrations(tasks[0], Path(values["demonstrations"]).expanduser(), int(values["seed"]))
    if values["states"]:
        folder = Path(values["states"]).expanduser()
        return [one for task in tasks for one in scenes.of_states(task, folder, values["strategy"])]
    shards = -(-int(values["count"]) // scenes.SHARD)
    seed = int(values["seed"])
    made = [one for file in scenes.make(tasks, shards, out / "scenes", seed) for one in examples.load(file)]
    return [made[index] for index in np.random.default_rng(seed).permutation(len(made))]


def _new(values: dict[str, str], taught: list[Example], settings: Settings, out: Path) -> tuple[Any, Any]:
    """A new small model, which has learned to point and then to speak; and its processor."""
    from varl_vlm_advisor.training import speaking, tower, trainer
    from varl_vlm_advisor.training.small_model import make_small_model

    new, seed = out / "new" / scenes.MODEL, settings.seed
    if not (new / "config.json").exists():
        read = taught[:_READ]
        asked = [words for e in read for words in (f"system: {e.system}\nuser: ", f"{e.text}\nassistant: ")]
        model, processor = make_small_model(asked, [e.answer for e in read], seed, int(values["width"]))
        processor.save_pretrained(new)
        model.save_pretrained(new)  # last: with its config.json the folder counts
    model, processor = trainer.load(str(new))
    pictures = tower.Pictures(processor, taught)
    tower.teach_to_point(model, processor, pictures, int(values["pointing"]), out / "pointing.pt", seed)
    speaking.teach_to_speak(model, processor, taught, settings, out / "speaking.pt")
    return model, processor


def _judge(values: dict[str, str], model: str, out: Path) -> None:
    if not int(values["judge"]) or (out / "scores.json").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    file = out / "advisor.yaml"
    name = str(Path(model).absolute()) if Path(model).exists() else model
    named = {"model": name, "device": values["device"], "temperature": 0.0}
    asked = {"backend": "transformers", "strategy": values["strategy"], "votes": 1, "transformers": named}
    file.write_text(json.dumps({"/**/advisor": {"ros__parameters": asked}}), encoding="utf-8")  # and so is YAML
    print(f"{out.name}:", flush=True)
    judged = {
        "task": values["task"],
        "params_file": file,
        "count": values["judge"],
        "seed": int(values["seed"]) + _JUDGED_SEED,
        "states": out.parent / "judged",
        "out": out,
    }
    evaluation.judge(complete(evaluation.ARGUMENTS, {name: str(value) for name, value in judged.items()}))


if __name__ == "__main__":
    run()
