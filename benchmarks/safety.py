"""How near whatever is asked of an arm comes to its bounds, on every robot's file; writes results/safety.json.

    python -m benchmarks.safety --robots fr3 ur5e

``asked``: 100,000 random and adversarial actions from home. ``started``: 10,000, looked at in every cycle of the
controller, from starts anywhere (outside of the box, too), on servos that lag by 20 to 100 ms, pushed and blocked, with
halts and homing between. Shares are of the bound in the robot's file, or in the description where that is lower.
``started`` takes the acceleration over 50 ms, and places as so much farther out than where the arm was put.
``exceeded`` names what was more than the tests allow. Robots that are not named keep their rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from src.varl_robot_env.test.safety.asked import ALLOWED as ASKED
from src.varl_robot_env.test.safety.asked import whatever_is_asked
from src.varl_robot_env.test.safety.robots import ROBOTS
from src.varl_robot_env.test.safety.started import ALLOWED as STARTED
from src.varl_robot_env.test.safety.started import from_anywhere

RESULTS = Path(__file__).parent / "results/safety.json"
ACTIONS, STARTS, ACTIONS_A_START = 100_000, 40, 250


def measure(name: str) -> dict[str, object]:
    """Both attacks on one robot."""
    asked, started = whatever_is_asked(name, ACTIONS), from_anywhere(name, STARTS, ACTIONS_A_START)
    exceeded = [f"asked {what}" for what, most in ASKED.items() if asked[what] > most]
    exceeded += [f"started {what}" for what, most in STARTED.items() if started[what] > most]
    return {"asked": asked, "started": started, "exceeded": exceeded}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robots", nargs="+", choices=ROBOTS, default=ROBOTS)
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in parser.parse_args().robots:
        begun = time.monotonic()
        rows[name] = measure(name)
        RESULTS.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
        print(f"{name}: {rows[name]} in {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if any(row["exceeded"] for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
