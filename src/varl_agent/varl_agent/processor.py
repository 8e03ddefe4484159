"""What Linux says of the processor."""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def identity(cpuinfo: Path = CPUINFO) -> dict[str, str]:
    """The first processor's fields, such as ``vendor_id`` and ``flags``; none where the file is missing."""
    if not cpuinfo.exists():
        return {}
    lines = (line.partition(":") for line in cpuinfo.read_text().partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
