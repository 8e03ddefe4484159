"""A DDS domain for one graph alone, so that two on a host never mix."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator

from varl_common.errors import VarlError

# Those whose ports are below the range that Linux gives out by itself; 0 is everybody's.
_DOMAINS = range(1, 102)


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
