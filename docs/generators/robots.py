"""A page for each robot that ships, from its file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from .markdown import code, table

# What hardware.md says is true of all that are not simulated.
_UNPROVEN = (
    "No physical arm was moved by this project. Names and limits were read in public files (above); what is checked "
    "of this file is in [what is unproven](../hardware.md#what-is-unproven)."
)


def pages(root: Path) -> dict[str, str]:
    """Each robot, and their list."""
    files = sorted((root / "config/robots").glob("*.yaml"))
    made = {f"robots/{file.stem}.md": _page(file) for file in files}
    rows = []
    for file in files:
        robot = yaml.safe_load(file.read_text(encoding="utf-8"))
        gripper = robot.get("gripper") or {}
        rows.append(
            (
                f"[{robot['name']}](robots/{file.stem}.md)",
                str(len(robot["joints"])),
                code(robot.get("arm_controller", "")),
                code(gripper.get("interface", "joint_trajectory") if gripper else "none"),
                f"{1 / robot['control_period']:g} Hz",
            )
        )
    toc = "\n".join(f"robots/{file.stem}" for file in files)
    made["robots.md"] = (
        "# Robots that ship\n\n"
        + table(("robot", "joints", "controller of the arm", "gripper's command", "control"), rows)
        + "\n\nAll but `varl_arm`, which is simulated, are configuration for drivers that others publish. Another "
        f"arm is [a file of yours](../doors/your_arm.md).\n\n```{{toctree}}\n:hidden:\n\n{toc}\n```\n"
    )
    return made


def _page(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    robot: dict[str, Any] = yaml.safe_load(text)
    about = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        about.append(line[1:])
    safety, driver = robot["safety"], robot.get("driver") or {}
    simulated = not str(robot["urdf"]).startswith("topic:")
    parts = [
        f"# {robot['name']}",
        "```text\n" + "\n".join(line.removeprefix(" ") for line in about) + "\n```",
        "## What it speaks",
        table(("", ""), _interfaces(robot, driver)),
        "## Bounds",
        f"The tool stays between {_numbers(safety['workspace_low'])} and {_numbers(safety['workspace_high'])} m in "
        f"`{robot['base_frame']}`. An action of 1 moves it {robot['action_scale'] * 1000:g} mm in a period of "
        f"{robot['control_period'] * 1000:g} ms. The commanded pose is never more than {safety['leash'] * 1000:g} mm "
        f"ahead of the measured one; joints keep {safety['joint_margin']:g} rad from their limits; a joint state older "
        f"than {safety['stale_after'] * 1000:g} ms stops the arm.",
        table(("joint", "at home, rad", "speed, rad/s", "acceleration, rad/s²"), _joints(robot)),
    ]
    if faults := driver.get("faults"):
        parts += ["## Faults of the driver that stop it", table(("topic", "meaning"), _faults(faults))]
    if not simulated:
        start, mock = (_told(file, heading) for heading in ("its driver", "start"))
        parts += ["## Its driver", start[1], "## Its mock hardware", f"{mock[1]}; {mock[2]}. {mock[0].capitalize()}."]
        parts += [
            "## Camera",
            "Where a task has something to be seen, calibrate: [how](../../hardware.md#camera-and-perception).",
            f"```sh\nvarl calibrate robot:={file.stem} mount:=base marker_size:=0.10\n```",
        ]
    parts.append("## First motion, first training")
    if simulated:
        parts.append(
            f"```sh\nvarl train_sim robot:={file.stem}\n```\n\nor, by the clock as on an arm: "
            "`train_real backend:=mujoco`."
        )
    else:
        parts += [
            "All of [your arm](../../doors/your_arm.md) and [hardware.md](../../hardware.md#step-by-step) first; "
            "the reset that begins the first episode is the first motion.",
            f"```sh\nros2 launch varl_bringup train_real.launch.py robot:={file.stem} task:={_task(file)}\n```",
            "## What is unproven",
            _UNPROVEN.replace("](../", "](../../"),
        ]
    parts += ["## The file", f"```{{literalinclude}} ../../../config/robots/{file.name}\n:language: yaml\n```"]
    return "\n\n".join(parts) + "\n"


def _told(file: Path, heading: str) -> list[str]:
    """What hardware.md says of the robot, in the table whose second column has that heading."""
    lines = (file.parents[2] / "docs/hardware.md").read_text(encoding="utf-8").splitlines()
    begin = next(i for i, line in enumerate(lines) if line.strip().startswith(f"| arm | {heading} |"))
    for line in lines[begin + 2 :]:
        name, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
        if re.sub(r"\W", "", name.partition("(")[0]).lower() == file.stem:
            return [name.partition("(")[2].removesuffix(")"), *cells]
    raise ValueError(f"docs/hardware.md has no row for {file.stem} below {heading!r}; write one")


def _task(file: Path) -> str:
    own = file.parents[1] / "tasks" / f"reach_{file.stem}.yaml"
    return own.stem if own.exists() else "reach"


def _interfaces(robot: dict[str, Any], driver: dict[str, Any]) -> list[tuple[str, str]]:
    gripper = robot.get("gripper")
    rows = [
        ("controller of the arm", code(robot["arm_controller"])),
        ("command", code(driver.get("arm_interface", "joint_trajectory"))),
        ("description", code(robot["urdf"])),
        ("tool", code(robot["tool_frame"])),
    ]
    if gripper:
        rows.append(("gripper", f"{code(gripper['controller'])}, {code(gripper.get('interface', 'joint_trajectory'))}"))
    rows += [("camera", code(camera["image_topic"])) for camera in robot.get("cameras", ())]
    if scaling := driver.get("speed_scaling"):
        rows.append(("speed slider", code(scaling["topic"])))
    if wrench := driver.get("wrench"):
        rows.append(
            (
                "force at the tool",
                f"{code(wrench['topic'])}: stops above {wrench['force']:g} N, {wrench['torque']:g} N m",
            )
        )
    return rows


def _joints(robot: dict[str, Any]) -> list[tuple[str, ...]]:
    safety = robot["safety"]
    columns = (robot["joints"], robot["home"], safety["joint_speed"], safety["joint_acceleration"])
    return [(code(name), *(f"{value:g}" for value in values)) for name, *values in zip(*columns, strict=True)]


def _faults(faults: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(code(fault["topic"]), str(fault["meaning"])) for fault in faults]


def _numbers(values: list[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
