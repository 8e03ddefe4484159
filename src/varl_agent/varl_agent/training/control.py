"""What a person asks of a running training: pause, resume, save, stop. From any thread; heard between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Control:
    """Requests to a training, and the end of all waiting when it is to stop."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.paused = threading.Event()
        self.save_wanted = threading.Event()
        self.interrupted = False  # by a signal, not by the stop service

    def stop(self) -> None:
        """End the training after the present step, with a checkpoint."""
        self.stopping.set()


class Interrupts:
    """Ctrl-C and SIGTERM ask ``control`` to stop; what does not hear it within ``patience`` seconds is interrupted.

    A step that waits for an environment that is stuck is left by KeyboardInterrupt. To be used in the main thread.
    Ctrl-C in a process group arrives more than once: all but the first are ignored.
    """

    def __init__(self, control: Control, patience: float = 1.5) -> None:
        self._control = control
        self._patience = patience

    def __enter__(self) -> Interrupts:
        self._before = {number: signal.signal(number, self._asked) for number in (signal.SIGINT, signal.SIGTERM)}
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._insist)
        return self

    def __exit__(self, *_: object) -> None:
        self.calm()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def calm(self) -> None:
        """From here on nothing is interrupted: the training has stopped and is being saved."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if not self._control.interrupted:
            self._control.interrupted = True
            self._control.stop()
            signal.setitimer(signal.ITIMER_REAL, self._patience)

    def _insist(self, number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt
