"""A graph that stays on this host, in a DDS domain of its own, so that two on a host never mix."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

from varl_common.errors import VarlError

# Those whose ports are below the range that Linux gives out by itself; 0 is everybody's.
_DOMAINS = range(1, 102)
# Where Fast DDS looks for its profile. Jazzy's knows the old name only, later ones warn of it.
_PROFILE, _PROFILE_JAZZY = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"


def one_host(profile: Path, distro: str | None) -> dict[str, str]:
    """Environment of nodes that talk to none but those of this host, by a Fast DDS profile; ``distro``: ROS 2's."""
    variable = _PROFILE_JAZZY if distro == "jazzy" else _PROFILE
    return {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", variable: str(profile)}


@contextlib.contextmanager
def free_domain() -> Iterator[int]:
    """A domain id that no one else on this host holds through this function, held until the end of the block.

    Raises:
        VarlError: all are taken.
    """
    for domain in random.sample(_DOMAINS, len(_DOMAINS)):
        # A name of Linux's abstract namespace: one holder, let go of even by kill -9, shared as widely as loopback is.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as holder:
            try:
                holder.bind(f"\0varl/ros_domain_id/{domain}")
            except OSError:
                continue
            yield domain
            return
    raise VarlError("every DDS domain from 1 to 101 is in use by a run on this host; end one, or set ROS_DOMAIN_ID")
