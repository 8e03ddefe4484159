"""Episodes of a run's replay, or of what ``teleop`` recorded, read beside whoever may be writing it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml

from varl_agent.datasets.episodes import Episode, Source
from varl_agent.replay.layout import Tag
from varl_agent.replay.store import ReplayStore
from varl_agent.replay.whole_episodes import whole_episodes
from varl_agent.training.run_folder import RunFolder

_PERSONS = (Tag.HUMAN, Tag.DEMONSTRATION)


def open_replay(path: Path) -> tuple[Source, Iterator[Episode]]:
    """What a run is of, and its episodes, oldest first; those that were broken off end where they were.

    Raises:
        VarlError: there is no such run, or its replay is damaged.
    """
    folder = RunFolder(path)
    if not folder.config.is_file():
        raise VarlError(f"{folder.path} lacks config.yaml, which says what its numbers are; name a run of this version")
    env = load_yaml(folder.config)["env"]
    store = ReplayStore(folder.replay, writable=False)
    names = tuple(env["observation_names"])
    period = float(env["control_period"])
    source = Source(
        env["instruction"],
        env["robot"],
        names,
        tuple(env["action_names"]),
        period,
        dict(store.layout.frames),
        store.count,
    )
    return source, _episodes(store, len(names))


def _episodes(store: ReplayStore, size: int) -> Iterator[Episode]:
    try:
        for rows in whole_episodes(store):
            yield Episode(
                rows["observation"][:, :size],  # features of pictures come after the state
                rows["action"],
                rows["reward"],
                np.isin(rows["tag"], _PERSONS),
                bool(rows["done"][-1] and not rows["timeout"][-1]),
                {camera: store.frames(camera, rows[f"frame/{camera}"]) for camera in store.layout.frames},
            )
    finally:
        store.close()
