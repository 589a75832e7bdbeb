"""How much memory there is, and how people write sizes."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.errors import ConfigError

SHARE = 0.6  # of what is free, unless told
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def parse_size(text: str) -> int:
    """Bytes of a size such as `4GB`, `512MiB`, `1.5G` or `1000000`: decimal units, binary ones with an i.

    Raises:
        ConfigError: no size, or none above zero.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    unit = {**_UNITS, **_BINARY}.get(found[2]) if found else None
    if found is None or unit is None or float(found[1]) * unit < 1:
        raise ConfigError(f"{text!r} is no size; write one such as 4GB, 512MiB or 1.5G")
    return int(float(found[1]) * unit)


def shown(size: int) -> str:
    """A number of bytes for people: three digits and a decimal unit."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"


def default_budget() -> int:
    """What a run may hold unless told otherwise: 60 % of what is free."""
    return int(SHARE * free_bytes())


def free_bytes(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int:
    """Memory that can still be had: what the machine has available, or less where a control group says so.

    Where the system says neither, half of the machine's memory.

    Args:
        proc, cgroup: where the kernel shows memory and control groups.
    """
    limits = [*_machine(proc), *_unified(proc, cgroup), *_legacy(proc, cgroup)]
    if not limits:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return max(0, min(limits))


def _machine(proc: Path) -> list[int]:
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            return [int(line.split()[1]) * 1024]
    return []


def _unified(proc: Path, cgroup: Path) -> list[int]:
    """Control groups, version 2: the process's own group and every one above it may be limited."""
    found = []
    for folder in _groups(proc, cgroup, ""):
        found += _left(folder / "memory.max", folder / "memory.current", folder / "memory.stat")
    return found


def _legacy(proc: Path, cgroup: Path) -> list[int]:
    """Control groups, version 1."""
    found = []
    for folder in _groups(proc, cgroup / "memory", "memory"):
        limit, usage = folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes"
        found += _left(limit, usage, folder / "memory.stat")
    return found


def _groups(proc: Path, root: Path, controller: str) -> list[Path]:
    """Folders of the process's group for a controller, and of the groups it lies in; the root always."""
    folders = [root]
    for line in _lines(proc / "self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            inside = [part for part in path.split("/") if part not in ("", "..")]
            folders += [root.joinpath(*inside[: depth + 1]) for depth in range(len(inside))]
    return folders


def _left(limit: Path, usage: Path, stat: Path) -> list[int]:
    allowed, used = _lines(limit), _lines(usage)
    if not allowed or not used or not allowed[0].isdigit():
        return []
    # Pages of files that nobody has touched lately are given up before anything is refused.
    idle = [int(line.split()[1]) for line in _lines(stat) if line.split()[:1] == ["inactive_file"]]
    return [int(allowed[0]) - int(used[0]) + sum(idle)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
