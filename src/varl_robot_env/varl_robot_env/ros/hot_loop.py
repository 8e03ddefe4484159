"""Callbacks at a control rate: a few entities of a node, executed in the calling thread, with little overhead."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, cast

from rclpy.callback_groups import CallbackGroup
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from varl_common.host.latency import processors_awake
from varl_common.ros.node import told_to_end

# A wait is cut into slices of this length, to notice a shutdown, s.
_SLICE = 0.2
# After a wait that came back before its time with nothing ready, s: whatever wakes it must not take a core from
# everybody, at real-time priority.
_IDLE = 1e-3
# From Ctrl-C to the end of the context, s.
_SHUTDOWN = 0.1


class HotLoop:
    """Waits for and executes subscriptions, services and clients of ``groups`` of ``node``; plain functions only.

    rclpy's executors build a wait set, a task and a coroutine for each callback and wake twice for each; on the path
    of a control step, which waits for half a dozen messages, that is most of its time. Here a loop may also be run
    inside of a callback of another: a service waits for a topic by spinning the loop that has the topic, in the same
    thread. ``groups`` must be spun by loops of one thread only; the rest of the node goes to :class:`RestExecutor`.

    A subscription's events, such as a publisher whose QoS does not fit, are taken and not told of: one that nobody
    takes wakes every wait at once, for good.
    """

    def __init__(self, node: Node, *groups: CallbackGroup) -> None:
        self._node, self._groups = node, groups
        self._entities: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        self._wait_set: Any = None

    def spin(self) -> None:
        """Execute callbacks until ROS is shut down.

        Raises:
            ExternalShutdownException: it was.
        """
        while True:
            self.spin_once(_SLICE)

    def spin_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Execute callbacks until ``condition`` holds, or for ``timeout`` seconds; returns whether it holds.

        Raises:
            ExternalShutdownException: ROS was shut down.
        """
        end = time.monotonic() + timeout
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.spin_once(min(left, _SLICE))
        return True

    def spin_once(self, timeout: float) -> None:
        """Wait for up to ``timeout`` seconds and execute what is ready.

        Raises:
            ExternalShutdownException: ROS was shut down.
        """
        self._refresh()
        subscriptions, clients, services = self._entities
        wait_set = self._wait_set
        wait_set.clear_entities()
        for subscription in subscriptions:
            wait_set.add_subscription(subscription.handle)
        for client in clients:
            wait_set.add_client(client.handle)
        for service in services:
            wait_set.add_service(service.handle)
        events = [event for subscription in subscriptions for event in subscription.event_handlers]
        for event in events:
            event.add_to_wait_set(wait_set)
        end = time.monotonic() + timeout
        wait_set.wait(max(0, int(timeout * 1e9)))
        if told_to_end() or not self._node.context.ok():
            raise ExternalShutdownException
        for event in events:
            if event.is_ready(wait_set):
                event.take_data()
        ready = [
            *(
                (_take_message, entity)
                for i, entity in enumerate(subscriptions)
                if wait_set.is_ready("subscription", i)
            ),
            *((_take_response, entity) for i, entity in enumerate(clients) if wait_set.is_ready("client", i)),
            *((_take_request, entity) for i, entity in enumerate(services) if wait_set.is_ready("service", i)),
        ]
        if not ready and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _IDLE))
        for take, entity in ready:  # a callback may spin this loop again, so the wait set is done with by now
            try:
                take(entity)
            except RuntimeError:
                # Ctrl-C within a message's conversion comes out of the binding like this.
                time.sleep(_SHUTDOWN)
                if self._node.context.ok():
                    raise
                raise ExternalShutdownException from None

    def _refresh(self) -> None:
        entities = (
            self._mine(self._node.subscriptions),
            self._mine(self._node.clients),
            self._mine(self._node.services),
        )
        if self._wait_set is None or entities != self._entities:
            subscriptions, clients, services = map(len, entities)
            events = sum(len(subscription.event_handlers) for subscription in entities[0])
            context = self._node.context.handle
            wait_set = rclpy_implementation.WaitSet
            self._wait_set = wait_set(subscriptions, 0, 0, clients, services, events, context)
            self._entities = entities

    def _mine(self, entities: Iterable[Any]) -> list[Any]:
        return [entity for entity in entities if entity.callback_group in self._groups]


class RestExecutor(SingleThreadedExecutor):
    """Executes what the hot loops of a node leave: parameters, lifecycle, timers."""

    def __init__(self, node: Node, *groups: CallbackGroup) -> None:
        """``groups`` are those of the hot loops."""
        super().__init__(context=node.context)
        self._groups = groups
        self.add_node(node)

    def can_execute(self, entity: Any) -> bool:
        return entity.callback_group not in self._groups and super().can_execute(entity)


class HotNode(Protocol):
    """A node with callbacks at a control rate.

    Attributes:
        hot_loop: what its main thread spins.
        hot_groups: the groups of all of its hot loops.
    """

    hot_loop: HotLoop
    hot_groups: tuple[CallbackGroup, ...]


def spin_hot(node: HotNode) -> None:
    """Spin the hot loop of ``node`` in this thread, and the rest of it in another, until ROS is shut down.

    Raises:
        ExternalShutdownException: it was.
    """
    with rest_in_background(cast(Node, node), *node.hot_groups), processors_awake():
        node.hot_loop.spin()


@contextlib.contextmanager
def rest_in_background(node: Node, *groups: CallbackGroup) -> Iterator[None]:
    """Within the block another thread executes what of ``node`` is not of the hot loops' ``groups``."""
    rest = RestExecutor(node, *groups)
    thread = threading.Thread(target=_spin_quietly, args=[rest], daemon=True)
    thread.start()
    try:
        yield
    finally:
        rest.shutdown(timeout_sec=0)
        thread.join(1.0)


def _spin_quietly(executor: RestExecutor) -> None:
    try:
        executor.spin()
    except (ExternalShutdownException, ShutdownException):
        pass
    except (rclpy_implementation.RCLError, AttributeError):  # shut down between two steps of rclpy's
        if executor.context.ok():
            raise


def _take_message(subscription: Any) -> None:
    taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
    if taken is not None:
        subscription.callback(taken[0])


def _take_response(client: Any) -> None:
    header, response = client.handle.take_response(client.srv_type.Response)
    if header is None:
        return
    try:
        future = client.get_pending_request(header.request_id.sequence_number)
    except KeyError:
        return  # nobody waits for it any more
    future.set_result(response)


def _take_request(service: Any) -> None:
    request, header = service.handle.service_take_request(service.srv_type.Request)
    if header is not None:
        service.send_response(service.callback(request, service.srv_type.Response()), header)
