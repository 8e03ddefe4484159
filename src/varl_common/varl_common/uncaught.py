"""What a program says of an error that nobody caught.

The packages of our programs import this before anything else, so that it is there while the rest is imported.
"""

from __future__ import annotations

import os
import signal
import sys
import types


def _report(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):  # told to end while it still imports: nothing has begun
        sys.stderr.flush()
        os._exit(0 if "--ros-args" in sys.argv else 128 + signal.SIGINT)  # of a node, launch expects 0
    if isinstance(error, ImportError) and not (error.name or "varl").startswith("varl_"):
        print(
            f"error: {sys.executable}, on which this program runs, lacks a package that it needs ({error}); rosdep "
            "installs those of ROS 2, and `python3 tools/setup --packages-only` in VARL's checkout the others",
            file=sys.stderr,
        )
        return
    sys.__excepthook__(kind, error, trace)


sys.excepthook = _report
