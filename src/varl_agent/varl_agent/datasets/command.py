"""``varl dataset``: episodes of a run, of teleop or of a bag as a LeRobot dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from varl_common.arguments import Argument, positive_number
from varl_common.errors import VarlError
from varl_common.host.progress import progress
from varl_common.tool import run_tool

from varl_agent.datasets.bag_source import open_bag
from varl_agent.datasets.episodes import Episode, Source
from varl_agent.datasets.lerobot import write_lerobot
from varl_agent.datasets.replay_source import open_replay

ARGUMENTS = (
    Argument("source", "Folder of a run, of teleop's demonstrations, or of a rosbag2 bag."),
    Argument("out", "New folder for the dataset."),
    Argument("instruction", "What is done, in words, where the source is a bag, which does not say."),
    Argument("period", "Seconds of a step, where the source is a bag.", "0.05", check=positive_number),
)


def open_source(path: Path, instruction: str = "", period: float = 0.05) -> tuple[Source, Iterator[Episode]]:
    """What ``path`` holds, by what lies in it.

    Raises:
        VarlError: it is nothing that has episodes, or is damaged.
    """
    if (path / "replay").is_dir():
        return open_replay(path)
    if (path / "metadata.yaml").is_file():
        return open_bag(path, instruction, period=period)
    raise VarlError(f"{path} is neither a run, demonstrations nor a bag; name a folder that is")


def run() -> None:
    """The console script."""
    run_tool("dataset", "Write episodes as a LeRobot dataset (v3).", ARGUMENTS, _convert)


def _convert(values: dict[str, str]) -> None:
    for name in ("source", "out"):
        if not values[name]:
            raise VarlError(f"dataset needs {name}:=FOLDER; see varl dataset --show-args")
    folder, out = (Path(values[name]).expanduser() for name in ("source", "out"))
    source, episodes = open_source(folder, values["instruction"], float(values["period"]))
    count = write_lerobot(source, progress(episodes, "steps", source.steps, size=len), out)
    print(f"{out}: {count} episodes of {source.robot or 'an arm'}: {source.task}")
