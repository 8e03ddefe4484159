"""Episodes of a rosbag2 bag that ``record:=true`` left (MCAP): what the arm did, and what its cameras saw.

A bag holds no observation of the agent's. The state here is that of the arm: its joints (``joint_states``) and the
tool's position, as the env node's status tells it; actions are those after the safety filter, whoever acted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from varl_common.errors import VarlError

from varl_agent.datasets.episodes import Episode, Source

_STATUS, _JOINTS, _PICTURE = "/env/status", "/joint_states", "sensor_msgs/msg/Image"
_TOOL = ("tool_x", "tool_y", "tool_z")


def open_bag(folder: Path, task: str = "", robot: str = "", period: float = 0.05) -> tuple[Source, Iterator[Episode]]:
    """What a bag is of, and its episodes.

    Raises:
        VarlError: it is no bag, rosbags is missing, or it lacks the env node's status or joint states.
    """
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
    except ImportError:
        raise VarlError("bags are read with rosbags; pip install rosbags") from None
    try:
        with AnyReader([folder]) as reader:
            rows = list(_rows(reader))
    except (AnyReaderError, OSError) as error:
        raise VarlError(f"{folder} is not a bag that can be read ({error}); name the folder of one") from None
    if not rows:
        raise VarlError(f"{folder} holds no step with joint states and {_STATUS}; record a run with record:=true")
    first = rows[0]
    cameras = {camera: picture.shape for camera, picture in first["pictures"].items()}
    source = Source(
        task or "recorded", robot, (*first["names"], *_TOOL), tuple(first["axes"]), period, cameras, len(rows)
    )
    return source, _episodes(rows, set(cameras))


def _rows(reader: Any) -> Iterator[dict[str, Any]]:
    """Each step of the bag: what was there when it was told, one period after its action began."""
    joints: dict[str, Any] | None = None
    pictures: dict[str, np.ndarray] = {}
    before: tuple[Any, ...] | None = None
    for connection, _, raw in reader.messages():
        topic = connection.topic
        if topic.endswith(_JOINTS):
            message = reader.deserialize(raw, connection.msgtype)
            if len(message.position) == len(message.name):
                joints = dict(zip(message.name, message.position, strict=True))
        elif connection.msgtype == _PICTURE and "color" in topic:
            picture = _rgb(reader.deserialize(raw, connection.msgtype))
            if picture is not None:
                pictures = pictures | {topic.strip("/").split("/")[0]: picture}
        elif topic.endswith(_STATUS):
            status = reader.deserialize(raw, connection.msgtype)
            if joints is None or not np.isfinite([status.tool.x, status.tool.y, status.tool.z]).all():
                continue
            names = sorted(joints)
            state = np.array(
                [*(joints[name] for name in names), status.tool.x, status.tool.y, status.tool.z], np.float32
            )
            if len(status.executed_action) and before is not None:
                yield {
                    "names": names,
                    "axes": list(status.action_names) or [f"action_{i}" for i in range(len(status.executed_action))],
                    "state": before[0],
                    "pictures": before[1],
                    "action": np.array(status.executed_action, np.float32),
                    "by_person": bool(status.intervened),
                    "success": bool(status.is_success),
                    "begins": before[2],
                }
            before = state, pictures, not len(status.executed_action)
            if len(status.executed_action) and status.is_success:
                before = None


def _episodes(rows: list[dict[str, Any]], cameras: set[str]) -> Iterator[Episode]:
    starts = [i for i, row in enumerate(rows) if row["begins"] or i == 0 or rows[i - 1]["success"]]
    for begin, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        part = rows[begin:end]
        if not all(np.isfinite(row["state"]).all() and cameras <= set(row["pictures"]) for row in part):
            continue  # a sensor failed in it, or a camera had not begun
        success = part[-1]["success"]
        yield Episode(
            np.stack([row["state"] for row in part]),
            np.stack([row["action"] for row in part]),
            np.array([row["success"] for row in part], np.float32),
            np.array([row["by_person"] for row in part]),
            success,
            {camera: np.stack([row["pictures"][camera] for row in part]) for camera in cameras},
        )


def _rgb(message: Any) -> np.ndarray | None:
    """(height, width, 3) uint8; None where its encoding is none of a color camera's."""
    if message.encoding not in ("rgb8", "bgr8") or message.step != 3 * message.width:
        return None
    picture = np.asarray(message.data, np.uint8).reshape(message.height, message.width, 3)
    return picture if message.encoding == "rgb8" else picture[..., ::-1]
