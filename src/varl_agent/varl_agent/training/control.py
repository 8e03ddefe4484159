"""What a person asks of a running training: pause, resume, save, stop. From any thread; obeyed between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType

# A stop that goes to every node may have ended the env node before this one hears of it, so long, s.
_ON_ITS_WAY = 1.0
_INSISTS_EVERY = 0.5  # s


class TrainingControl:
    """Requests to a running training, as events that whoever waits can watch."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.paused = threading.Event()
        self.save_requested = threading.Event()
        self.leaving = False  # only saving is left, which is not to be interrupted

    def stop(self) -> None:
        """End the training after the present step, with a checkpoint."""
        self.stopping.set()

    def explains(self, error: BaseException) -> bool:
        """Whether ``error``, such as an env node that is gone, comes of a stop that was asked for."""
        return isinstance(error, KeyboardInterrupt) or self.stopping.wait(_ON_ITS_WAY)


class InterruptHandler:
    """Ctrl-C and SIGTERM ask ``control`` to stop. After ``patience`` seconds KeyboardInterrupt is raised, so that a
    step which waits for a stuck environment ends as well.

    To be used in the main thread. Ctrl-C in a process group arrives more than once: all but the first are ignored.
    """

    def __init__(self, control: TrainingControl, patience: float = 1.5) -> None:
        self._control = control
        self._patience = patience
        self._asked_already = False

    def __enter__(self) -> InterruptHandler:
        self._before = {number: signal.signal(number, self._asked) for number in (signal.SIGINT, signal.SIGTERM)}
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._insist)
        return self

    def __exit__(self, *_: object) -> None:
        self.disarm()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def disarm(self) -> None:
        """Raise no KeyboardInterrupt from here on: the training has stopped and is being saved."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if not self._asked_already:
            self._asked_already = True
            self._control.stop()
            signal.setitimer(signal.ITIMER_REAL, self._patience, _INSISTS_EVERY)

    def _insist(self, number: int, frame: FrameType | None) -> None:
        if not self._control.leaving and not _in_callback(frame):
            raise KeyboardInterrupt


def _in_callback(frame: FrameType | None) -> bool:
    """Whether LLVM, compiling, has called Python here: what is raised there is lost, and the compiled code with it."""
    while frame is not None:
        if frame.f_code.co_name.startswith("_raw_object_cache"):  # llvmlite's two callbacks
            return True
        frame = frame.f_back
    return False
