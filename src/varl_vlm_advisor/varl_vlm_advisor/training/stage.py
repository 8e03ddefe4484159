"""A stage of training that is kept on the way: ended by Ctrl-C or killed, the same again goes on from there."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

_WARM = 60  # steps
_LEAST = 0.01
"""Share of the rate below which it does not fall."""

Step = Callable[[int], tuple[torch.Tensor, dict[str, float]]]
"""The loss of a step, by its number, and what else is told of it."""


class CtrlC:
    """Hears the first SIGINT; a second one ends the process at once.

    Attributes:
        asked: whether it came.
    """

    def __init__(self) -> None:
        self.asked = False

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """While it lasts."""
        before = signal.getsignal(signal.SIGINT)

        def ask(number: int, frame: Any) -> None:
            self.asked = True
            signal.signal(signal.SIGINT, before)

        signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


class Stage:
    """Trains ``learned`` by AdamW, at a rate that rises, stays and falls, and keeps it in a file."""

    def __init__(
        self, kept: Path, learned: nn.Module, steps: int, rate: float, decay: float, falling: float, every: int = 100
    ) -> None:
        """Go on from ``kept``, where it is.

        Args:
            kept: file; its name is the stage's.
            learned: what is trained.
            steps: in all.
            rate: at its highest.
            decay: of the weights.
            falling: share of the steps, the last, in which the rate falls to nothing.
            every: steps between two times that it is kept.
        """
        self._kept, self._learned, self._steps, self._every = kept, learned, steps, every
        self._rate, self._falling = rate, falling
        self._optimizer = torch.optim.AdamW(learned.parameters(), lr=rate, weight_decay=decay, betas=(0.9, 0.98))
        self._first, self._losses = 0, list[tuple[float, float]]()
        if kept.exists():
            stored = torch.load(kept, weights_only=True)
            learned.load_state_dict(stored["learned"])
            self._optimizer.load_state_dict(stored["optimizer"])
            self._first, self._losses = stored["step"], [(step, loss) for step, loss in stored.get("losses", [])]

    def run(self, loss_of: Step, until: int | None = None) -> None:
        """Train to the last step, or to ``until``, for a break.

        Raises:
            KeyboardInterrupt: Ctrl-C; the step that was being made is kept.
        """
        last, ending, told = self._steps if until is None else until, CtrlC(), list[dict[str, float]]()
        name = self._kept.stem
        bar = tqdm(range(self._first, last), name, self._steps, initial=self._first, unit="step", disable=None)
        with ending.heard(), bar:
            for step in bar:
                for group in self._optimizer.param_groups:
                    falls = max(_LEAST, (1 - step / self._steps) / self._falling)
                    group["lr"] = self._rate * min(1.0, (step + 1) / _WARM, falls)
                loss, figures = loss_of(step)
                self._optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(self._learned.parameters(), 1.0)
                self._optimizer.step()
                told.append({"loss": float(loss.detach()), **figures})
                if (step + 1) % self._every == 0 or step + 1 == last or ending.asked:
                    means = {key: float(np.mean([row[key] for row in told])) for key in told[0]}
                    self._losses.append((step + 1, means["loss"]))
                    self._keep(step + 1)
                    words = ", ".join(f"{key} {value:.4f}" for key, value in means.items())
                    bar.write(f"{name}: step {step + 1} of {self._steps}, {words}")
                    told.clear()
                if ending.asked:
                    raise KeyboardInterrupt

    def _keep(self, step: int) -> None:
        state = {"learned": self._learned.state_dict(), "optimizer": self._optimizer.state_dict()}
        aside = self._kept.with_suffix(".new")
        torch.save({**state, "step": step, "losses": self._losses}, aside)
        aside.replace(self._kept)
        draw_loss(self._losses, self._kept.with_suffix(".png"))


def draw_loss(losses: Sequence[tuple[float, float]], file: Path) -> None:
    """The curve of ``losses`` (step, loss) as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not losses:
        return
    figure = Figure(figsize=(6.0, 3.5), layout="constrained")
    axis = figure.subplots()
    axis.plot(*zip(*losses, strict=True))
    axis.set(xlabel="step", ylabel="loss", yscale="log")
    FigureCanvasAgg(figure).print_png(file)
