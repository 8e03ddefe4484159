"""What a run may spend on advice, in calls, tokens and money, and what it has spent: kept on disk, so that a restart
of the node doesn't begin anew."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from varl_common.advice_status import AdviceStatus
from varl_common.errors import VarlError
from varl_common.files import write_text_atomically

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.service.config import BudgetConfig
from varl_vlm_advisor.types import NoAdvice

GIVEN_UP_ANSWER = 600
"""Tokens that a call is charged with for its answer when it was cancelled: as long as a plan of 8 phases."""


@dataclass
class Spending:
    """So far."""

    calls: int = 0
    tokens: int = 0
    money: float = 0.0


class Budget:
    """Counts each call before it is made, and its tokens and money once they are known.

    Args:
        limits: 0 is no limit.
        path: file that keeps the spending; None keeps it in memory.

    Raises:
        VarlError: the file holds no spending.
    """

    def __init__(self, limits: BudgetConfig, path: Path | None) -> None:
        self._limits = limits
        self._path = path
        self.spent = Spending()
        if path is None:
            return
        try:
            self.spent = Spending(**json.loads(path.read_text(encoding="utf-8")))
            valid = all(0 <= number < math.inf for number in asdict(self.spent).values())
        except FileNotFoundError:
            return
        except OSError as error:
            raise VarlError(f"{path} cannot be read: {error.strerror}; name a run_dir that you may use") from None
        except (ValueError, TypeError):
            valid = False
        if not valid:
            raise VarlError(f"{path} does not hold the advisor's spending; repair it, or remove it to start at 0")

    def check(self) -> None:
        """Whether another call may be made. Calls in flight add their tokens and money when they end, so that these
        can exceed a limit by a few calls.

        Raises:
            NoAdvice: BUDGET, when a limit has been reached.
        """
        for name, spent in asdict(self.spent).items():
            limit = getattr(self._limits, name)
            if limit and spent >= limit:
                raise NoAdvice(AdviceStatus.BUDGET, f"the budget of {limit:g} {name} is spent")

    def count_call(self) -> None:
        """Add a call that is about to be made."""
        self.spent.calls += 1
        self._keep()

    def record(self, reply: Reply) -> None:
        """Add what a call has come to."""
        self._add(reply.tokens_in, reply.tokens_out)

    def record_given_up(self, question: Question) -> None:
        """Add what a call may have come to that was cancelled or lost: the server has the question, and may go on."""
        self._add(question.estimated_tokens, GIVEN_UP_ANSWER if question.estimated_tokens else 0)

    def _add(self, tokens_in: int, tokens_out: int) -> None:
        self.spent.tokens += tokens_in + tokens_out
        self.spent.money += (self._limits.price_in * tokens_in + self._limits.price_out * tokens_out) / 1e6
        self._keep()

    def _keep(self) -> None:
        if self._path is not None:
            write_text_atomically(self._path, json.dumps(asdict(self.spent)))
