"""Whether a state was answered by an advisor, and why not."""

from enum import IntEnum


class AdviceStatus(IntEnum):
    """The constants of varl_interfaces/Advice."""

    OK = 0
    REFUSED = 1
    INVALID = 2
    TIMEOUT = 3
    BUDGET = 4
    UNAVAILABLE = 5
