"""Processors stay awake for as long as the block lasts, where we may ask for it."""

import os
import struct
from pathlib import Path

import pytest
from varl_common.host import latency
from varl_common.host.latency import processors_awake


def held(path: Path) -> bool:
    """Whether this process has the file open."""
    return any(Path(f"/proc/self/fd/{fd}").resolve() == path for fd in os.listdir("/proc/self/fd"))


def test_the_request_is_held_while_the_block_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cpu_dma_latency"
    monkeypatch.setattr(latency, "_QUALITY_OF_SERVICE", str(file))
    with processors_awake():
        assert held(file)
        assert struct.unpack("i", file.read_bytes()) == (0,)
    assert not held(file)


def test_who_may_not_ask_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "_QUALITY_OF_SERVICE", str(tmp_path / "missing" / "cpu_dma_latency"))
    done = False
    with processors_awake():
        done = True
    assert done
    with pytest.raises(KeyError), processors_awake():
        raise KeyError
