"""Every launch argument, from the description of the graph that both `varl` and `ros2 launch` bring up."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from unittest.mock import MagicMock

from .markdown import code, table


def pages(root: Path) -> dict[str, str]:
    """The reference of the programs and their arguments."""
    for module in ("ament_index_python", "ament_index_python.packages"):
        sys.modules.setdefault(module, MagicMock())  # of ROS 2, which is not asked for what an argument is
    from varl_bringup.graph.programs import PROGRAMS

    backends = re.findall(
        r'"(\w+) = varl_vlm_advisor\.backends\.', (root / "src/varl_vlm_advisor/setup.py").read_text()
    )
    text = [
        "# Programs and their arguments",
        "`varl NAME argument:=value` and `ros2 launch varl_bringup NAME.launch.py argument:=value` are the same. "
        "An argument that is misspelt is answered with the nearest that there is.",
    ]
    for program in PROGRAMS.values():
        text += [f"## {program.name}", program.description]
        rows = []
        for argument in program.arguments:
            # Found among what is installed, which nothing is where the site is built.
            choices = argument.choices or (sorted(backends) if argument.name == "advisor" else ())
            rows.append(
                (code(argument.name), code(argument.default), ", ".join(map(code, choices)), argument.description)
            )
        text.append(table(("argument", "default", "choices", "meaning"), rows))
    return {"arguments.md": "\n\n".join(text) + "\n"}
