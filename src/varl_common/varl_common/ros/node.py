"""A node's life: parameters from a strict model, a clean start, a clean end, an honest exit status."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

import rclpy
from pydantic import BaseModel
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from varl_common.config import Config
from varl_common.errors import VarlError, did_you_mean

ConfigT = TypeVar("ConfigT", bound=Config)
NodeT = TypeVar("NodeT", bound=Node)
RCLError = rclpy_implementation.RCLError

# A callback that goes on for so long after the node was told to end is interrupted, s.
_PATIENCE = 2.0
# A node that takes longer to let go of its middleware and threads, s, says where it hangs and ends with status 1.
_TEAR_DOWN = 8.0
# Parameters that rclpy itself understands on every node.
_BUILT_IN = ("use_sim_time", "start_type_description_service", "qos_overrides.")


def declare_parameters(node: Node, model: type[ConfigT]) -> ConfigT:
    """Declare each field of ``model`` as a read-only parameter of ``node`` and return the validated values.

    A nested model's fields are declared with a dot: ``guidance.weight``.

    Raises:
        VarlError: a parameter is unknown, missing or malformed; the message names the remedy.
    """
    fields = dict(_flatten(model))
    overrides = node._parameter_overrides  # rclpy drops what is not declared without a word
    for name in overrides:
        if name not in fields and not name.startswith(_BUILT_IN):
            raise VarlError(f"{node.get_name()}: unknown parameter {name!r}; {did_you_mean(name, list(fields))}")
    values: dict[str, Any] = {}
    for name, description in fields.items():
        descriptor = ParameterDescriptor(description=description, read_only=True, dynamic_typing=True)
        default = overrides[name].value if name in overrides else None
        try:
            node.declare_parameter(name, default, descriptor, ignore_override=True)
        except InvalidParameterTypeException as error:
            raise VarlError(f"{node.get_name()}: parameter {name!r}: {error}") from None
        if name in overrides:
            _insert(values, name, _plain(overrides[name].value))
    return model.from_dict(values, node.get_name())


def run_node(
    make: Callable[[], NodeT], spin: Callable[[NodeT], None] = rclpy.spin, has_last_words: bool = False
) -> None:
    """Body of a node's ``main``: initialise, make the node, spin it until Ctrl-C or shutdown, tear down, exit.

    rclpy ends every spinning at Ctrl-C or SIGTERM by shutting ROS down, after which nothing can be published. A node
    that ``has_last_words``, a stop for an arm, keeps ROS until it is destroyed: its ``spin`` ends where
    :func:`told_to_end`.

    With status 0 after an orderly end, 2 with one line on stderr after a :class:`VarlError`. Nothing but a flush comes
    after the node is torn down: Python's own end takes seconds beside busy processes, and a signal kills it there.
    """
    stop = _Stop()
    try:
        options = SignalHandlerOptions.NO if has_last_words else SignalHandlerOptions.ALL
        rclpy.init(args=sys.argv, signal_handler_options=options)
    except RCLError as error:  # a parameter file that ROS cannot read; what follows is where in its sources
        sys.exit(f"error: {str(error).partition(', at ')[0]}")
    node, status = None, 0
    try:
        node = make()
        stop.spinning = True
        spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (RCLError, AttributeError):  # rclpy's spinning, where ROS is shut down between two steps of it
        if rclpy.ok():
            raise
    except VarlError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        status = 2
    finally:
        stop.calm()
        faulthandler.dump_traceback_later(_TEAR_DOWN, exit=True)
        if node is not None:
            node.destroy_node()
        _shut_down()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _shut_down() -> None:
    """Shut ROS down, unless it is: rclpy's thread for signals may do so after ``try_shutdown`` has looked."""
    try:
        rclpy.try_shutdown()
    except RCLError:
        if rclpy.ok():
            raise


_told = threading.Event()


def told_to_end() -> bool:
    """Whether this process was told to end by Ctrl-C or SIGTERM."""
    return _told.is_set()


class _Stop:
    """What SIGINT and SIGTERM do: raise KeyboardInterrupt while the node is made, and nothing once it spins.

    rclpy ends spinning itself, by shutting ROS down. An exception at any point of it could come out of a binding as
    another one, and under launch Ctrl-C arrives twice: the second is not to break an orderly end. A callback that does
    not return in time is interrupted.
    """

    def __init__(self) -> None:
        self._heard = self.spinning = False
        for number in (signal.SIGINT, signal.SIGTERM):  # rclpy.init calls them after its own handlers
            signal.signal(number, self._told)
        signal.signal(signal.SIGALRM, self._insist)

    def calm(self) -> None:
        """From here on nothing is interrupted."""
        self._heard = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _told(self, number: int, frame: types.FrameType | None) -> None:
        if self._heard:
            return
        self._heard = True
        _told.set()
        if not self.spinning:
            raise KeyboardInterrupt
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE)

    def _insist(self, number: int, frame: types.FrameType | None) -> None:
        raise KeyboardInterrupt


def _flatten(model: type[BaseModel], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, field in model.model_fields.items():
        nested = _model_in(field.annotation)
        if nested is not None:
            found += _flatten(nested, f"{prefix}{name}.")
        else:
            found.append((prefix + name, field.description or ""))
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next((arg for arg in typing.get_args(annotation) if arg is not type(None)), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _insert(values: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    for key in path:
        values = values.setdefault(key, {})
    values[last] = value


def _plain(value: Any) -> Any:
    """A parameter's array (array.array) as a list, everything else as it is."""
    return list(value) if hasattr(value, "typecode") or isinstance(value, tuple) else value
