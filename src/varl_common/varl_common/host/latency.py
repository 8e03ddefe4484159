"""What a control loop asks of Linux: processors that do not fall asleep, and to be served first."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator

_QUALITY_OF_SERVICE = "/dev/cpu_dma_latency"
_PRIORITY = 40  # of 1..99: below ros2_control's 50, whose loop is the arm's own


@contextlib.contextmanager
def processors_awake() -> Iterator[None]:
    """Ask Linux to let no processor of this host idle deeply within the block, where we may ask (root, by default).

    A control step is half a dozen messages from process to process, each of which wakes one up; out of a deep idle
    state that takes up to 0.1 ms, more than the message itself. The price is power: do not hold it while nothing runs.
    Source: the kernel's "PM Quality of Service interface", an s32 in us written to a file that is kept open.
    """
    try:
        request = open(_QUALITY_OF_SERVICE, "wb", buffering=0)  # noqa: SIM115 (closed below)
        request.write(struct.pack("i", 0))
    except OSError:
        yield
        return
    with request:
        yield


def request_realtime_priority() -> bool:
    """Ask Linux to run every thread of this process before all that is not real-time, from now on; whether it may.

    Root may, and who has an ``rtprio`` of 40 in /etc/security/limits.d. For a loop that must not miss its beat and
    sleeps most of the time. Source: sched(7), SCHED_FIFO; ros2_control asks for the same.
    """
    try:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except OSError:
        return False
    return True
