"""How near whatever is asked of an arm comes to its bounds, on every robot's file; writes results/safety.json.

    python -m benchmarks.safety --robots fr3 ur5e

``asked``: 100,000 random and adversarial actions from home. ``started``: 10,000, looked at in every cycle of the
controller, from starts anywhere (outside of the box, too), on servos that lag by 20 to 100 ms, pushed and blocked, with
halts and homing between. ``turning``: 20,000 like the first for tools that turn, half of them about the vertical
(``yaw``), half anyhow (``any``).

Shares are of the bound in the robot's file, or in the description where that is lower. ``started`` takes the
acceleration over 50 ms, and places as so much farther out than where the arm was put. ``exceeded`` names what was more
than the tests allow. Robots that are not named keep their rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from src.varl_robot_env.test.safety.asked import ALLOWED as ASKED
from src.varl_robot_env.test.safety.asked import whatever_is_asked
from src.varl_robot_env.test.safety.robots import ROBOTS
from src.varl_robot_env.test.safety.started import ALLOWED as STARTED
from src.varl_robot_env.test.safety.started import from_anywhere

RESULTS = Path(__file__).parent / "results/safety.json"
ACTIONS, STARTS, ACTIONS_A_START = 100_000, 40, 250
ATTACKS = ("asked", "started", "turning")
TURNS, TURNING = {"yaw": ("yaw",), "any": ("rx", "ry", "rz")}, 10_000  # how the tool turns; actions of each


def measure(name: str, attacks: list[str]) -> dict[str, object]:
    """What these attacks found on one robot."""
    row: dict[str, object] = {}
    if "asked" in attacks:
        row["asked"] = whatever_is_asked(name, ACTIONS)
    if "started" in attacks:
        row["started"] = from_anywhere(name, STARTS, ACTIONS_A_START)
    if "turning" in attacks:
        row["turning"] = {kind: whatever_is_asked(name, TURNING, turns) for kind, turns in TURNS.items()}
    return row


def exceeded(row: dict[str, Any]) -> list[str]:
    """The attacks and bounds, by name, of which a row has more than the tests allow."""
    parts = [("asked", row.get("asked", {}), ASKED), ("started", row.get("started", {}), STARTED)]
    parts += [(f"turning {kind}", worst, ASKED) for kind, worst in row.get("turning", {}).items()]
    return [
        f"{part} {what}"
        for part, worst, allowed in parts
        for what, most in allowed.items()
        if worst.get(what, 0) > most
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robots", nargs="+", choices=ROBOTS, default=ROBOTS)
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, default=ATTACKS, help="the others keep their figures")
    arguments = parser.parse_args()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in arguments.robots:
        begun = time.monotonic()
        rows[name] = rows.get(name, {}) | measure(name, arguments.attacks)
        rows[name]["exceeded"] = exceeded(rows[name])
        RESULTS.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
        print(f"{name}: {rows[name]} in {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if any(row["exceeded"] for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
