"""What a simulator that is told when time passes refuses, in the same words whichever it is."""

from __future__ import annotations

from collections.abc import Iterable

from varl_common.errors import VarlError, did_you_mean


def whole_steps(duration_ns: int, step_ns: int) -> int:
    """How many physics steps a duration is.

    Raises:
        VarlError: not a whole number of them.
    """
    steps, rest = divmod(duration_ns, step_ns)
    if rest or steps < 0:
        raise VarlError(f"cannot advance by {duration_ns} ns; expected a multiple of {step_ns} ns")
    return steps


def check_scene(
    joints: Iterable[str], entities: Iterable[str], known_joints: Iterable[str], known_entities: Iterable[str]
) -> None:
    """That a scene speaks of nothing but ``known_joints`` and ``known_entities``.

    Raises:
        VarlError: it does; the message names the nearest that there is.
    """
    for kind, names, known in (("joint", joints, list(known_joints)), ("entity", entities, list(known_entities))):
        for name in names:
            if name not in known:
                raise VarlError(f"the simulator has no {kind} {name!r}; {did_you_mean(name, known)}")
