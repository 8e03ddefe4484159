"""LeRobot's dataset format v3.0: Parquet for numbers, one MP4 a camera, JSON about them. Written and read without it.

https://github.com/huggingface/lerobot, src/lerobot/datasets: only numbers and pictures are read, nothing is executed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from varl_common.errors import VarlError

from varl_agent.datasets.episodes import Episode, Source
from varl_agent.datasets.statistics import Statistics
from varl_agent.datasets.video import VideoWriter, read_pictures

VERSION = "v3.0"
INFO, TASKS, STATS = "meta/info.json", "meta/tasks.parquet", "meta/stats.json"
EPISODES, DATA = "meta/episodes/chunk-000/file-000.parquet", "data/chunk-000/file-000.parquet"
VIDEO = "videos/{video_key}/chunk-000/file-000.mp4"
STATE, PICTURES = "observation.state", "observation.images."
_FILES = "chunk-{chunk_index:03d}/file-{file_index:03d}"
_SCALARS = {
    "next.reward": "float32",
    "next.done": "bool",
    "next.success": "bool",
    "is_intervention": "bool",
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


def write_lerobot(source: Source, episodes: Iterable[Episode], folder: Path) -> int:
    """Write ``episodes`` as a dataset into the new ``folder``; returns how many.

    Raises:
        VarlError: the folder is not empty, pyarrow or av is missing, or there is no episode.
    """
    pa, parquet = _arrow()
    if folder.exists() and any(folder.iterdir()):
        raise VarlError(f"{folder} is not empty; name a new folder for the dataset")
    for file in (INFO, EPISODES, DATA):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    fps = round(1 / source.period)
    schema = pa.schema(
        [
            (STATE, _vector(pa, len(source.state_names))),
            ("action", _vector(pa, len(source.action_names))),
            *((name, getattr(pa, "bool_" if kind == "bool" else kind)()) for name, kind in _SCALARS.items()),
        ]
    )
    videos = {camera: VideoWriter(folder / VIDEO.format(video_key=PICTURES + camera), fps) for camera in source.cameras}
    told: list[dict[str, Any]] = []
    statistics, frames = Statistics(), 0
    with parquet.ParquetWriter(folder / DATA, schema) as writer:
        for number, episode in enumerate(episodes):
            columns = _columns(episode, number, frames, fps)
            writer.write_table(pa.table(_arrays(pa, columns, schema), schema=schema))
            statistics.add(columns)
            row: dict[str, Any] = {
                "episode_index": number,
                "tasks": [source.task],
                "length": len(episode),
                "data/chunk_index": 0,
                "data/file_index": 0,
                "dataset_from_index": frames,
                "dataset_to_index": frames + len(episode),
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
            for camera, video in videos.items():
                video.add(episode.pictures[camera])
                statistics.add_pictures(PICTURES + camera, episode.pictures[camera])
                where = f"videos/{PICTURES}{camera}"
                row |= {f"{where}/chunk_index": 0, f"{where}/file_index": 0}
                row |= {f"{where}/from_timestamp": frames / fps, f"{where}/to_timestamp": (frames + len(episode)) / fps}
            told.append(row)
            frames += len(episode)
    for video in videos.values():
        video.close()
    if not told:
        raise VarlError("there is no episode to write; record or train first")
    parquet.write_table(pa.Table.from_pylist(told), folder / EPISODES)
    parquet.write_table(_tasks(pa, source.task), folder / TASKS)
    (folder / STATS).write_text(json.dumps(statistics.values(), indent=1), encoding="utf-8")
    (folder / INFO).write_text(json.dumps(_info(source, fps, len(told), frames), indent=1), encoding="utf-8")
    return len(told)


def open_lerobot(folder: Path) -> tuple[Source, Iterator[Episode]]:
    """What a dataset is of, and its episodes.

    Raises:
        VarlError: it is none of version 3, lacks a part or holds what is not finite; or pyarrow or av is missing.
    """
    _, parquet = _arrow()
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
        version, features = info["codebase_version"], info["features"]
        if not version.startswith("v3."):
            raise VarlError(f"{folder} is a LeRobot dataset of {version}, expected {VERSION}; convert it with LeRobot")
        names = {key: tuple(features[key]["names"]) for key in (STATE, "action")}
        cameras = {
            key.removeprefix(PICTURES): tuple(features[key]["shape"]) for key in features if key.startswith(PICTURES)
        }
        task = str(parquet.read_table(folder / TASKS).column("__index_level_0__")[0].as_py())
        told = parquet.read_table(sorted((folder / "meta/episodes").rglob("*.parquet"))).to_pylist()
        data = parquet.read_table(sorted((folder / "data").rglob("*.parquet")))
    except (OSError, KeyError, TypeError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise VarlError(f"{folder} is not a LeRobot dataset, or is damaged ({error}); name the folder of one") from None
    source = Source(task, info.get("robot_type") or "", names[STATE], names["action"], 1 / info["fps"], cameras)
    return source, _episodes(folder, info["fps"], told, data, cameras)


def _episodes(folder: Path, fps: int, told: list[dict[str, Any]], data: Any, cameras: Any) -> Iterator[Episode]:
    for row in told:
        rows = data.slice(row["dataset_from_index"], row["length"])
        columns = {name: np.array(rows.column(name).to_pylist()) for name in rows.column_names}
        n = len(rows)
        shown = {}
        for camera in cameras:
            where = f"videos/{PICTURES}{camera}"
            place = _FILES.format(chunk_index=row[f"{where}/chunk_index"], file_index=row[f"{where}/file_index"])
            video = folder / "videos" / (PICTURES + camera) / f"{place}.mp4"
            shown[camera] = read_pictures(video, round(row[f"{where}/from_timestamp"] * fps), n)
        states, actions = (columns[name].astype(np.float32).reshape(n, -1) for name in (STATE, "action"))
        rewards = columns.get("next.reward", np.zeros(n)).astype(np.float32)
        if not all(np.isfinite(part).all() for part in (states, actions, rewards)):
            raise VarlError(f"{folder}: episode {row['episode_index']} holds what is not finite; leave it out")
        by_person = columns.get("is_intervention", np.ones(n, bool)).astype(bool)
        success = bool(columns["next.success"][-1]) if "next.success" in columns else bool(rewards[-1] > 0)
        yield Episode(states, actions, rewards, by_person, success, shown)


def _columns(episode: Episode, number: int, begin: int, fps: int) -> dict[str, np.ndarray]:
    n = len(episode)
    last = np.arange(n) == n - 1
    return {
        STATE: episode.states,
        "action": episode.actions,
        "next.reward": episode.rewards,
        "next.done": last,
        "next.success": last & episode.success,
        "is_intervention": episode.by_person,
        "timestamp": (np.arange(n) / fps).astype(np.float32),
        "frame_index": np.arange(n),
        "episode_index": np.full(n, number),
        "index": np.arange(begin, begin + n),
        "task_index": np.zeros(n, np.int64),
    }


def _arrays(pa: Any, columns: dict[str, np.ndarray], schema: Any) -> list[Any]:
    found = []
    for field in schema:
        values = columns[field.name]
        if pa.types.is_fixed_size_list(field.type):
            flat = pa.array(np.ascontiguousarray(values, np.float32).ravel())
            found.append(pa.FixedSizeListArray.from_arrays(flat, field.type.list_size))
        else:
            found.append(pa.array(values.reshape(len(values)), field.type))
    return found


def _vector(pa: Any, size: int) -> Any:
    return pa.float32() if size == 1 else pa.list_(pa.float32(), size)


def _tasks(pa: Any, task: str) -> Any:
    """A table that pandas reads with the task's words as its index, as LeRobot expects."""
    index = {"name": None, "field_name": "__index_level_0__", "pandas_type": "unicode", "numpy_type": "object"}
    column = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    told = {
        "index_columns": ["__index_level_0__"],
        "column_indexes": [],
        "columns": [column | {"metadata": None}, index | {"metadata": None}],
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array([0], pa.int64()), "__index_level_0__": pa.array([task])})
    return table.replace_schema_metadata({b"pandas": json.dumps(told).encode()})


def _info(source: Source, fps: int, episodes: int, frames: int) -> dict[str, Any]:
    features: dict[str, Any] = {
        STATE: {"dtype": "float32", "shape": [len(source.state_names)], "names": list(source.state_names)},
        "action": {"dtype": "float32", "shape": [len(source.action_names)], "names": list(source.action_names)},
    }
    for camera, (height, width, channels) in source.cameras.items():
        features[PICTURES + camera] = {
            "dtype": "video",
            "shape": [height, width, channels],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": height,
                "video.width": width,
                "video.channels": channels,
                "video.codec": "h264",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "video.fps": fps,
                "has_audio": False,
            },
        }
    features |= {name: {"dtype": kind, "shape": [1], "names": None} for name, kind in _SCALARS.items()}
    return {
        "codebase_version": VERSION,
        "robot_type": source.robot,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": 1,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": f"data/{_FILES}.parquet",
        "video_path": f"videos/{{video_key}}/{_FILES}.mp4" if source.cameras else None,
        "features": features,
    }


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise VarlError("LeRobot datasets are Parquet files; pip install pyarrow av to read and write them") from None
    return pyarrow, pyarrow.parquet
