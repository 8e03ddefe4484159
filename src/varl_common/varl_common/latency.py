"""Processors that do not fall asleep between two messages."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

_QUALITY_OF_SERVICE = "/dev/cpu_dma_latency"


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
