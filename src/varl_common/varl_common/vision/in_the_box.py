"""The small vision-language model that comes with VARL: docs/model_card.md tells what it is good for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from varl_common.errors import VarlError

IN_THE_BOX = "varl-sight"
"""Its name."""


def in_the_box() -> Path:
    """Its folder.

    Raises:
        VarlError: the package that brings it is not installed.
    """
    package = find_spec("varl_vlm_advisor")
    if package is None or not package.submodule_search_locations:
        raise VarlError(f"{IN_THE_BOX} comes with the package varl_vlm_advisor; install that, or name another model")
    return Path(package.submodule_search_locations[0]) / "models" / IN_THE_BOX
