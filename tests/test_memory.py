from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.memory import SHARE, default_budget, free_bytes, parse_size, shown

GIB = 2**30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4 * 10**9),
        ("4G", 4 * 10**9),
        ("512MiB", 512 * 2**20),
        ("512mi", 512 * 2**20),
        ("1.5G", 1_500_000_000),
        (" 2 GiB ", 2 * GIB),
        ("1000000", 10**6),
        ("1kb", 1000),
        ("0.5TiB", 2**39),
        ("100B", 100),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "4 apples", "-1GB", "1e9", "0", "0.0001kB", "4PB", "1,5G", "iB", "1I"]
)
def test_what_is_no_size(text):
    with pytest.raises(ConfigError, match="is no size; write one such as 4GB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_600, "1 MB"),
        (1_234_567_890, "1.23 GB"),
        (10**16, "1e+04 TB"),
    ],
)
def test_sizes_for_people(size, text):
    assert shown(size) == text


def kernel(
    root: Path, available: int | None, groups: str = "", limits: dict[str, tuple[str, int, int]] | None = None
):
    """A stand-in for /proc and /sys/fs/cgroup: folder to (limit, usage, idle file pages)."""
    proc, cgroup = root / "proc", root / "cgroup"
    (proc / "self").mkdir(parents=True)
    if available is not None:
        (proc / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {available // 1024} kB\n")
    (proc / "self" / "cgroup").write_text(groups)
    for folder, (limit, usage, idle) in (limits or {}).items():
        path = cgroup / folder
        path.mkdir(parents=True, exist_ok=True)
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes")
            if "memory" in folder
            else ("memory.max", "memory.current")
        )
        (path / names[0]).write_text(f"{limit}\n")
        (path / names[1]).write_text(f"{usage}\n")
        (path / "memory.stat").write_text(f"anon 5\ninactive_file {idle}\n")
    return free_bytes(proc, cgroup)


def test_free_is_what_the_machine_has(tmp_path):
    assert kernel(tmp_path, 8 * GIB) == 8 * GIB


def test_an_unlimited_group_is_no_limit(tmp_path):
    assert kernel(tmp_path, 8 * GIB, "0::/a\n", {"a": ("max", GIB, 0)}) == 8 * GIB


@pytest.mark.parametrize("folder", ["a/b", "a", "."])
def test_the_group_and_those_above_it_limit(tmp_path, folder):
    found = kernel(tmp_path, 8 * GIB, "0::/a/b\n", {folder: (str(2 * GIB), GIB, 100)})
    assert found == GIB + 100


def test_a_group_of_the_first_version(tmp_path):
    groups = "12:cpu,cpuacct:/x\n7:memory:/docker/abc\n"
    assert kernel(tmp_path, 8 * GIB, groups, {"memory/docker/abc": (str(3 * GIB), GIB, 0)}) == 2 * GIB


def test_inside_a_container_the_root_is_the_group(tmp_path):
    assert kernel(tmp_path, 8 * GIB, "7:memory:/docker/abc\n", {"memory": (str(3 * GIB), GIB, 0)}) == 2 * GIB


def test_a_group_beyond_its_limit_has_nothing_left(tmp_path):
    assert kernel(tmp_path, 8 * GIB, "0::/\n", {".": (str(GIB), 2 * GIB, 0)}) == 0


def test_without_a_word_from_the_kernel_half_of_the_machine(tmp_path):
    import os

    assert kernel(tmp_path, None) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def test_the_default_is_a_share_of_what_is_free():
    free = free_bytes()
    assert free > 0
    assert default_budget() == pytest.approx(SHARE * free, rel=0.2)
