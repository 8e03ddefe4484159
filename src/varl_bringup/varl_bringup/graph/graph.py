"""A graph to bring up, whatever brings it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from varl_common.host.domain import one_host
from varl_robot_env.config.paths import config_folder

from varl_bringup.graph.node import Node


@dataclass(frozen=True)
class Graph:
    """What to bring up. The run ends when ``main`` ends, or when any other node dies.

    ``first`` runs alone before all others; where it fails, nothing else is started.
    """

    program: str
    values: Mapping[str, str]  # the launch arguments, completed
    main: Node
    others: tuple[Node, ...]
    namespace: str
    log_level: str
    simulated: bool  # nothing outside this host takes part
    run_dir: Path
    first: Node | None = None

    @property
    def nodes(self) -> tuple[Node, ...]:
        return (*self.others, self.main)

    @property
    def trains(self) -> bool:
        """Whether a run is begun or resumed in ``run_dir``."""
        return self.program.startswith("train_")

    @property
    def starts_run(self) -> bool:
        """Whether this begins a new run in ``run_dir``."""
        return self.trains and self.values["resume"] == "false"

    def environment(self, user: Mapping[str, str]) -> dict[str, str]:
        """Environment variables that the nodes get on top of the ``user``'s, none of which is overridden."""
        variables = {"OMP_NUM_THREADS": "1"}  # spinning threads of several processes slow each other down
        if self.simulated:
            variables |= one_host(config_folder() / "dds/one_host.xml", user.get("ROS_DISTRO"))
        return {name: value for name, value in variables.items() if name not in user}
