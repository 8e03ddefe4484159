"""Brings up a graph without the ``launch`` package: a process a node, and all of them end when one does."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

from varl_common.errors import VarlError
from varl_common.host.shared_memory import clean_shared_memory

from varl_bringup.runner.display import Display, LineReader
from varl_bringup.runner.orphan_guard import OrphanGuard, send

# Seconds after the stop began. The main process gets the time to save before the others, which it may need, are
# told to end; all is over within 5 s on a busy machine as well.
_OTHERS_INTERRUPTED = 2.0
_TERMINATED = 2.8
_KILLED = 3.3
_GIVEN_UP = 3.7  # what SIGKILL did not end by now is not a process any more, or not for us to end
# For what a process said as it ended to be shown.
_LAST_WORDS = 0.1
# After an orderly end the others get this much more time: a busy machine is no reason to kill them.
_NO_HURRY = 3.0
# After the main process failed, another's death in this time is taken for the cause.
_BLAME = 1.0
_POLL = 0.05  # s


@dataclass(frozen=True)
class Process:
    """One process to run: a name to show, and its command line."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)  # on top of the run's
    essential: bool = True  # its end is the end of the run
    terminal: bool = False  # it draws on the terminal itself


class Runner:
    """Runs ``others`` and ``main`` until one of them ends; see :meth:`run`."""

    def __init__(self, main: Process, others: Sequence[Process], environment: Mapping[str, str], display: Display):
        self._main = main
        self._processes = [*others, main]
        self._environment = dict(environment)
        self._display = display
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._essential = {process.name for process in self._processes if process.essential}
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []

    def run(self) -> int:
        """Run to the end; the exit status of the whole.

        0 when the main process ends with 0; the status of the one that failed (128 + signal where one killed it, 1
        where a node other than the main one just ended); 130 after Ctrl-C, 143 after SIGTERM.
        """
        clean_shared_memory()  # of runs that were killed, whole
        handlers = {number: signal.signal(number, self._note_signal) for number in _ENDING}
        guard = OrphanGuard()
        try:
            for process in self._processes:
                self._start(process, guard.adopt)
            status = self._watch()
            self._stop(patience=1.0 if status else _NO_HURRY)
        finally:
            send(signal.SIGKILL, [-child.pid for child in self._children.values()])
            guard.dismiss()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        clean_shared_memory()
        return status

    @property
    def main_was_killed(self) -> bool:
        """Whether a signal has ended the main process, before it could say or save anything."""
        code = self._children[self._main.name].poll()
        return code is not None and code < 0

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _start(self, process: Process, adopt: Callable[[], None]) -> None:
        try:
            child = subprocess.Popen(
                process.command,
                stdin=None if process.terminal else subprocess.DEVNULL,
                stdout=None if process.terminal else subprocess.PIPE,
                stderr=None if process.terminal else subprocess.STDOUT,
                env={**self._environment, **process.environment, **({"VARL_TTY": "1"} if process.terminal else {})},
                bufsize=0,
                preexec_fn=adopt,
            )
        except OSError as error:
            raise VarlError(f"{process.name}: {process.command[0]} cannot be started: {error.strerror}") from None
        self._children[process.name] = child
        if child.stdout is not None:
            os.set_blocking(child.stdout.fileno(), False)
            self._selector.register(child.stdout, selectors.EVENT_READ, (process.name, LineReader(child.stdout)))

    def _watch(self) -> int:
        """Show output until a process has ended or a signal came; the status that the run is to have."""
        while not self._signals:
            self._show(_POLL)
            failed = self._failed()
            if failed == self._main.name:
                self._show_for(_BLAME)  # it may only be the first to notice that another has died
                failed = self._failed()
            if failed is not None:
                code = self._children[failed].returncode
                self._show_for(_LAST_WORDS)
                self._display.say(f"{failed} ended ({_describe(code)}): stopping")
                return _status(code) or 1
            if self._children[self._main.name].returncode == 0:
                return 0
        number = self._signals[0]
        self._display.say(f"{signal.Signals(number).name}: stopping")
        return 128 + number

    def _failed(self) -> str | None:
        """Name of the process that ended and should not have, the main one only where no other did."""
        if self._children[self._main.name].poll() == 0:
            return None
        ended = [process.name for process in self._processes if self._children[process.name].poll() is not None]
        return next((name for name in ended if name in self._essential), None)

    def _stop(self, patience: float) -> None:
        """SIGINT to the main process, then to the others; SIGTERM and SIGKILL to what remains."""
        began = time.monotonic()
        interrupts = len(self._signals)
        told: set[str] = set()
        escalation = [(_TERMINATED, signal.SIGTERM), (_KILLED, signal.SIGKILL)]
        while (alive := self._alive()) and (passed := (time.monotonic() - began) / patience) < _GIVEN_UP:
            if len(self._signals) > interrupts:  # a second Ctrl-C: at once
                passed = _KILLED
            for name in alive:
                first = name == self._main.name or self._main.name not in alive or passed > _OTHERS_INTERRUPTED
                if first and name not in told:
                    told.add(name)
                    send(signal.SIGINT, [-self._children[name].pid])
            while escalation and passed >= escalation[0][0]:
                number = escalation.pop(0)[1]
                for name in alive:
                    self._display.say(f"{name} does not end: {number.name}")
                send(number, [-self._children[name].pid for name in alive])
            self._show(_POLL)
        self._show_for(_LAST_WORDS)

    def _alive(self) -> list[str]:
        """Names of those of whose process group something is left."""
        for child in self._children.values():
            child.poll()  # reaps it: a zombie would count as alive
        return [name for name, child in self._children.items() if send(0, [-child.pid])]

    def _show(self, wait: float) -> bool:
        """Show what comes within ``wait`` seconds; whether anything did."""
        ready = self._selector.select(wait)
        for key, _ in ready:
            name, reader = key.data
            lines, is_open = reader.read()
            for line in lines:
                self._display.line(name, line)
            if not is_open:
                self._selector.unregister(key.fileobj)
        return bool(ready)

    def _show_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._show(left)


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _status(code: int) -> int:
    return 128 - code if code < 0 else code


def _describe(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"status {code}"


def on_terminal() -> bool:
    """Whether a person watches: the output and the errors go to a terminal."""
    return sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
