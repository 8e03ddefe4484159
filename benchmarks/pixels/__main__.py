"""``make bench-pixels``: writes benchmarks/results/pixels.json, each figure once it is there.

``what:=costs`` measures what pictures cost, in minutes, and ``what:=classifier`` how true one is; ``what:=reach`` and
``what:=push`` train three seeds, in hours, and go on where they were left. ``what:=sb3`` lets Stable-Baselines3's SAC
learn reach from the same pictures for as long as each of its seeds took. What ``make bench-tasks`` has found of the
arm's longer tasks stands beside it. A figure that was not measured is null.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from varl_agent.pixels.encoding import EncoderSettings
from varl_common.arguments import Argument, complete, parse, whole_number
from varl_common.errors import VarlError
from varl_common.files import atomic_write

from benchmarks.advice.trainer import commit
from benchmarks.pixels.costs import step_overhead, updates
from benchmarks.pixels.success import classifier
from benchmarks.pixels.training import shipped, train, train_sb3

RESULTS = Path(__file__).parents[1] / "results" / "pixels.json"
FROM_STATE = RESULTS.with_name("arm_tasks.json")
STEPS = {"reach": 15_000, "push": 40_000}
SEEDS = 3
_ARGUMENTS = (
    Argument("what", "What to measure.", "all", ("all", "costs", "classifier", *STEPS, "sb3")),
    Argument("tower", "Folder or name of another frozen tower than config/agent.yaml's."),
    Argument("runs", "Folder of the trainings.", "runs/bench-pixels"),
    Argument("sb3_updates", "Updates of SAC's to time; each takes seconds.", "5", check=whole_number(1)),
    Argument("out", "File of the figures.", str(RESULTS)),
)


def main(given: list[str]) -> None:
    values = complete(_ARGUMENTS, parse(given))
    encoder = shipped()["encoder"] | {"keep_pictures": False}
    if values["tower"]:
        encoder |= {"tower": values["tower"], "layers": 0}
    settings, file = EncoderSettings.from_dict(encoder, "the bench"), Path(values["out"])
    figures: dict[str, Any] = dict.fromkeys([f"{task}_success" for task in STEPS])
    figures |= json.loads(file.read_text()) if file.exists() else {}
    from_state = json.loads(FROM_STATE.read_text())
    figures |= {name: from_state.get(name) for name in ("insert_success", "pick_place_success")}
    figures["tower"] = f"{encoder['tower']}, {encoder['layers'] or 'all'} layers"

    def keep(more: dict[str, Any]) -> None:
        print(more, flush=True)
        figures.update(more)
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as aside:
            aside.write_text(json.dumps(figures, indent=1) + "\n")

    if values["what"] in ("all", "costs"):
        keep(step_overhead(settings))
        keep(updates(settings, int(values["sb3_updates"])))
    if values["what"] in ("all", "classifier"):
        keep(classifier(Path(values["runs"]) / "success"))
    for task, steps in STEPS.items():
        if values["what"] not in ("all", task):
            continue
        successes: list[float] = []
        seconds: list[float] = []
        for seed in range(SEEDS):
            success, took = train(task, Path(values["runs"]) / f"{task}-s{seed}", steps, seed, encoder)
            successes, seconds = [*successes, success], [*seconds, took]
            told = {"success": sum(successes) / len(successes), "successes": successes, "seconds": seconds}
            told |= {"steps": steps, "commit": commit()}
            keep({f"{task}_{name}": value for name, value in told.items()})
    if values["what"] in ("all", "sb3"):
        if "reach_seconds" not in figures:
            raise VarlError("how long VARL takes is not known yet; run what:=reach first")
        rival = []
        for seed, took in enumerate(figures["reach_seconds"]):
            rival.append(train_sb3("reach", took, STEPS["reach"], seed))
            keep({"sb3_reach_successes": [one for one, _ in rival], "sb3_reach_steps": [made for _, made in rival]})


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except VarlError as error:
        sys.exit(f"error: {error}")
