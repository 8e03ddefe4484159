"""OpenBLAS is told of a processor that it takes for an older one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from varl_agent.openblas import CORE_TYPE, choose_core_type, misjudged

FLAGS = "fpu avx2 avx512f avx512bw avx512cd avx512dq avx512vl"
ZEN_5 = {"vendor_id": "AuthenticAMD", "cpu family": "26", "flags": FLAGS}


def cpuinfo(folder: Path, changed: dict[str, str] | None = None) -> Path:
    path = folder / "cpuinfo"
    fields = {"processor": "0", **ZEN_5, **(changed or {})}
    path.write_text(2 * ("".join(f"{name}\t: {value}\n" for name, value in fields.items()) + "power management:\n\n"))
    return path


def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing set, and nothing that a test sets outlives it: another processor could not run those kernels."""
    monkeypatch.setenv(CORE_TYPE, "")
    monkeypatch.delenv(CORE_TYPE)


def test_zen_5_is_misjudged(tmp_path: Path) -> None:
    assert misjudged(cpuinfo(tmp_path))


@pytest.mark.parametrize("changed", [{"cpu family": "25"}, {"flags": "fpu avx2"}, {"vendor_id": "GenuineIntel"}])
def test_others_are_left_to_openblas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]) -> None:
    unset(monkeypatch)
    choose_core_type(cpuinfo(tmp_path, changed))
    assert CORE_TYPE not in os.environ


def test_what_cannot_be_read_is_left_to_openblas(tmp_path: Path) -> None:
    assert not misjudged(tmp_path / "missing")


def test_the_users_choice_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CORE_TYPE, "Haswell")
    choose_core_type(cpuinfo(tmp_path))
    assert os.environ[CORE_TYPE] == "Haswell"


def test_too_late_is_said_and_holds_for_processes_started_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy  # noqa: F401 (loaded: too late)

    unset(monkeypatch)
    with pytest.warns(RuntimeWarning, match=f"set {CORE_TYPE}=SkylakeX"):
        choose_core_type(cpuinfo(tmp_path))
    assert os.environ[CORE_TYPE] == "SkylakeX"


def test_the_package_loads_no_numpy_before_it_chooses() -> None:
    code = "import sys, varl_agent; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
