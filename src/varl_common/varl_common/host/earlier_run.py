"""A new run takes no folder that another has begun in: whoever starts one asks here."""

from __future__ import annotations

from pathlib import Path

from varl_common.errors import VarlError


def refuse_earlier_run(folder: Path) -> None:
    """Raises VarlError: a run has begun in ``folder``."""
    checkpoints = folder / "checkpoints"
    if not checkpoints.exists():
        return
    if any(checkpoints.glob("step-*")):
        raise VarlError(f"{folder} holds a run already; continue it with resume:=true, or name another run_dir")
    raise VarlError(
        f"{folder} holds a run that was killed before its first checkpoint; remove that folder, or name another run_dir"
    )
