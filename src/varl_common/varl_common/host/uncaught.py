"""What a program says of an error that nobody caught.

The packages of our programs import this before anything else, so that it is there while the rest is imported.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
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


def _interrupt_once(number: int, frame: types.FrameType | None) -> None:
    """Ctrl-C while a node still imports: under launch it comes twice, of which the first ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


sys.excepthook = _report
# Until run_node takes signals over. Other programs, and who only imports a node's module, keep Python's own handler.
if (
    "--ros-args" in sys.argv
    and threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, _interrupt_once)
