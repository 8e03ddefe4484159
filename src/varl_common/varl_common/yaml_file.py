"""Reads a YAML file, with a sentence for whatever is wrong in it. Needs nothing beyond a plain ROS 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from varl_common.errors import VarlError


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        VarlError: the file is missing, or not a YAML mapping.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        siblings = sorted(other.name for other in path.parent.glob("[!.]*.yaml"))
        there = f"there are: {', '.join(siblings)}" if siblings else "its folder has no YAML file"
        raise VarlError(f"{path} does not exist; {there}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise VarlError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or "malformed"
        raise VarlError(f"{path}{line}: not valid YAML ({problem}); correct that line") from None
    if not isinstance(values, dict):
        raise VarlError(f"{path} holds {type(values).__name__}; expected a mapping of names to values")
    return values
