"""Where the project's own files lie, in a checkout and in an installed workspace, with ROS sourced or not."""

import os
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from varl_common.errors import VarlError, did_you_mean

_PACKAGE = Path(__file__).resolve().parents[2]


def config_file(kind: str, name: str) -> Path:
    """The configuration file ``config/<kind>/<name>.yaml``: ``config_file("tasks", "reach")``.

    A ``name`` that ends in ``.yaml`` is taken as a path.

    Raises:
        VarlError: there is no such file; the message lists those that there are.
    """
    if name.endswith(".yaml"):
        return Path(name)
    folder = config_folder() / kind
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = [other.stem for other in folder.glob("*.yaml")]
        raise VarlError(f"unknown {kind.removesuffix('s')} {name!r}; {did_you_mean(name, known)}")
    return path


def config_folder() -> Path:
    """The folder ``config`` of the checkout or of the installed workspace.

    Raises:
        VarlError: neither is there.
    """
    places = [_PACKAGE.parents[1] / "config", *_shares("varl_bringup", "config")]
    for place in places:
        if (place / "robots").is_dir():
            return place
    raise VarlError(f"no config folder at {' or '.join(map(str, places))}; build and source the workspace")


def resolve(uri: str, beside: Path) -> Path:
    """The file that ``uri`` names: ``package://<package>/<path>``, or a path relative to the folder of ``beside``.

    Raises:
        VarlError: there is no such file.
    """
    if uri.startswith("package://"):
        package, _, inside = uri.removeprefix("package://").partition("/")
        places = _shares(package, inside)
        if package == _PACKAGE.name:
            places.insert(0, _PACKAGE / inside)
        for folder in beside.absolute().parents:  # a checkout of that package, around the file or beside it
            if _name_of(folder) == package:
                places.append(folder / inside)
            elif (folder / package / "package.xml").is_file():
                places.append(folder / package / inside)
    else:
        places = [beside.parent / uri]
    for place in places:
        if os.path.isfile(place):  # Path.is_file raises for a name that is too long
            return place
    raise VarlError(f"{beside}: {uri} does not exist; expected it at {' or '.join(map(str, places))}")


def package_around(file: Path) -> tuple[str, Path] | None:
    """Name and folder of the ROS package that holds ``file``; None where none does."""
    for folder in file.absolute().parents:
        if name := _name_of(folder):
            return name, folder
    return None


def _name_of(folder: Path) -> str | None:
    """Name of the ROS package in ``folder``; None where it is none."""
    try:
        name = ElementTree.parse(folder / "package.xml").getroot().findtext("name")
    except (OSError, ElementTree.ParseError):
        return None
    return name and name.strip()


def _shares(package: str, inside: str) -> list[Path]:
    """Candidates for ``share/<package>/<inside>``: from the ament index where ROS is, and from this prefix."""
    places = []
    try:
        from ament_index_python.packages import get_package_share_directory

        places.append(Path(get_package_share_directory(package)) / inside)
    except (ImportError, LookupError, ValueError):
        pass
    return [*places, Path(sys.prefix) / "share" / package / inside]
