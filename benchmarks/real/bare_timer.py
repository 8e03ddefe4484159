"""A timer and nothing else, as soon served as the env node is: what this machine itself misses of the beat.

    python -m benchmarks.real.bare_timer 0.05 times.npy

Writes when it woke up, s of the wall clock, when it is told to end by SIGTERM.
"""

from __future__ import annotations

import signal
import sys
import time

import numpy as np
from varl_common.host.latency import processors_awake, request_realtime_priority


def main() -> None:
    period, path = float(sys.argv[1]), sys.argv[2]
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    request_realtime_priority()
    woke = []
    with processors_awake():
        due = time.monotonic()
        while not ended:
            due = max(due + period, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            woke.append(time.time())
    np.save(path, np.array(woke))


if __name__ == "__main__":
    main()
