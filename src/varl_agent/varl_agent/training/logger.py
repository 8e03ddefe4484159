"""The curves of a run in TensorBoard's format, which tell each point once however often the run is resumed."""

from __future__ import annotations

from pathlib import Path

from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from torch.utils.tensorboard import SummaryWriter


def make_logger(folder: Path, resumed_at: int | None = None) -> Logger:
    """Stable-Baselines3's logger, writing into ``folder``.

    ``resumed_at``: the environment step at which the run goes on; what was written of later steps, before the process
    was killed, is no longer shown.
    """
    return Logger(str(folder), [_Curves(folder, None if resumed_at is None else resumed_at + 1)])


class _Curves(TensorBoardOutputFormat):
    """``purge_step``: TensorBoard drops what earlier files hold from this step on."""

    def __init__(self, folder: Path, purge_step: int | None) -> None:
        self.writer = SummaryWriter(log_dir=str(folder), purge_step=purge_step)
        self._is_closed = False
