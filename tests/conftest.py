"""Fixtures of all tests: no network, a cache of their own, and the way to the optional real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.models import tiny

ROOT = Path(__file__).parent.parent

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole session, so that mteb's table is read once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, shared_cache: Path) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(shared_cache))
    monkeypatch.delenv("HARNESS_DATA", raising=False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real task data with published scores; tests that need it are skipped without it."""
    folder = Path(os.environ.get("HARNESS_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "INDEX.md").is_file():
        pytest.skip("no real task data: set HARNESS_SHARED to a folder with data/INDEX.md")
    return folder


@pytest.fixture(scope="session")
def bi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bi_encoder(tmp_path_factory.mktemp("checkpoints") / "tiny-bi")


@pytest.fixture(scope="session")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.cross_encoder(tmp_path_factory.mktemp("checkpoints") / "tiny-cross")
