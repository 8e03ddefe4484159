"""A robot's description, checked: what is wrong in a URDF is told before anything is computed from it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable

from varl_common.errors import VarlError, did_you_mean

_KINDS = ("fixed", "revolute", "continuous", "prismatic", "floating", "planar")
FREE = ("floating", "planar")
"""Kinds of joint of several coordinates, which no controller of an arm moves."""


def parse_urdf(text: str) -> ElementTree.Element:
    """The root of a URDF whose links and joints are a tree.

    Raises:
        VarlError: it is not.
    """
    if "xacro:" in text or "/wiki/xacro" in text:
        root = _parsed(text) if "xmlns:xacro" in text else None
        if root is None or any("xacro" in element.tag for element in root.iter()):
            raise VarlError("the URDF is a xacro file that was not expanded; write what the command xacro makes of it")
    root = _parsed(text)
    if root.tag != "robot":
        raise VarlError(f"the URDF's root is <{root.tag}>, expected <robot>; name the robot's description")
    links = [link.get("name", "") for link in root.findall("link")]
    joints = root.findall("joint")
    _once("link", links)
    _once("joint", [joint.get("name", "") for joint in joints])
    for joint in joints:
        name, kind = joint.get("name"), joint.get("type", "")
        if kind not in _KINDS:
            raise VarlError(f"joint {name!r} of the URDF has the type {kind!r}; {did_you_mean(kind, list(_KINDS))}")
        for end in ("parent", "child"):
            if link_of(joint, end) not in links:
                known = did_you_mean(link_of(joint, end), links)
                raise VarlError(f"joint {name!r} of the URDF has no such {end} link {link_of(joint, end)!r}; {known}")
    _once("child link", [link_of(joint, "child") for joint in joints])
    for link in links:
        way_to_root(root, link)
    return root


def link_of(joint: ElementTree.Element, end: str) -> str:
    """Name of the ``parent`` or ``child`` link of a joint; empty where it has none."""
    found = joint.find(end)
    return "" if found is None else found.get("link", "")


def way_to_root(root: ElementTree.Element, link: str) -> list[ElementTree.Element]:
    """The joints between ``link`` and the root of the tree, the nearest first.

    Raises:
        VarlError: they go in a circle.
    """
    above = {link_of(joint, "child"): joint for joint in root.findall("joint")}
    way: list[ElementTree.Element] = []
    while link in above:
        way.append(above[link])
        link = link_of(above[link], "parent")
        if len(way) > len(above):
            raise VarlError(f"the joints of the URDF go in a circle through link {link!r}; give it a root")
    return way


def joints_between(root: ElementTree.Element, base: str, tip: str) -> list[ElementTree.Element]:
    """The joints that move the link ``tip`` against the link ``base``."""
    down, up = way_to_root(root, tip), way_to_root(root, base)
    return [joint for joint in down if joint not in up] + [joint for joint in up if joint not in down]


def _parsed(text: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise VarlError(f"the URDF is not valid XML ({error}); run check_urdf on it") from None


def _once(kind: str, names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if not name:
            raise VarlError(f"a {kind} of the URDF has no name; give it one")
        if count > 1:
            raise VarlError(f"the URDF has {count} times the {kind} {name!r}; expected each once")
