"""Checkpoints from the Hugging Face Hub: the local cache first, then the network, else what to do."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from harness.errors import ModelError, UnknownNameError, nearest
from harness.models.catalog import Catalog, Package
from harness.models.quiet import quiet
from harness.models.weights import read_json
from harness.network import transport_errors

_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors"]
_OTHER_BACKENDS = ["onnx/*", "openvino/*", "coreml/*", "original/*", "gguf/*", "*.onnx"]
_COMMIT = re.compile("[0-9a-f]{40}")
_SNAPSHOT = re.compile(r"models--(?P<org>[^/]+?)--(?P<name>[^/]+)/snapshots/(?P<commit>[0-9a-f]{40})$")


def fetch(
    hub_id: str,
    revision: str | None,
    catalog: Catalog,
    *,
    offline: bool,
    allow_pickle: bool = False,
    code: bool = False,
    package: Package | None = None,
) -> Path:
    """Folder of a hub repository's snapshot; its name is the commit.

    Args:
        revision: commit, branch, tag or pull request; None for the default branch.
        offline: never touch the network.
        allow_pickle, code: fetch pickle weights and Python files too.
        package: the PyPI package that would do as well, for the message.

    Raises:
        ModelError: it is neither here nor to be had; the message says what to set or download.
        UnknownNameError: the hub knows no such repository.
    """
    import huggingface_hub
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    patterns = _WANTED + (["*.bin"] if allow_pickle else []) + (["*.py"] if code else [])

    def snapshot(local: bool) -> Path:
        with quiet():
            return Path(
                huggingface_hub.snapshot_download(
                    hub_id,
                    revision=revision,
                    local_files_only=local,
                    allow_patterns=patterns,
                    ignore_patterns=_OTHER_BACKENDS,
                )
            )

    state, advice = "is not on this machine", _advice(f"{hub_id}/tree/{revision or 'main'}", package)
    try:
        here = snapshot(local=True)
        if not _begun(here):
            if _settled(here):
                return here
            state = "may be on this machine in part only: no modules.json, and nothing says that it has none"
            advice = f"get it with a network, or, if it never had one, pass --weights {here}"
    except HFValidationError as error:
        raise UnknownNameError("model", hub_id, catalog.names()) from error
    except LocalEntryNotFoundError:
        pass
    where = f"{hub_id} at {revision or 'its newest commit'}"
    near = nearest(hub_id, (name for name in catalog.names() if "/" in name))
    if catalog.find(hub_id) is None and near:
        where += f" (did you mean {', '.join(near)}?)"
    if offline or huggingface_hub.constants.HF_HUB_OFFLINE:
        raise ModelError(f"{where} {state}; this run is offline\n{advice}")
    api = huggingface_hub.HfApi()
    failures: tuple[type[Exception], ...] = (HfHubHTTPError, OSError, *transport_errors())
    try:
        # One plain request first: a download without a network would be retried for half a minute.
        with quiet():
            listed = api.model_info(hub_id, revision=revision, timeout=10).siblings or []
        names = [file.rfilename for file in listed]
        if not allow_pickle and names and not any(name.endswith(".safetensors") for name in names):
            raise ModelError(
                f"{where} has no safetensors; reading its pickle weights can run code\n"
                "pass --allow-pickle if you trust it, or convert it and pass --weights DIR"
            )
        return snapshot(local=False)
    except RepositoryNotFoundError as error:
        raise UnknownNameError(
            "model", hub_id, catalog.names(), "the hub has no such repository, or it is private or gated"
        ) from error
    except failures as error:
        raise ModelError(f"{where} {state}; the hub failed: {_first_line(error)}\n{advice}") from error


def commit_of(folder: Path) -> tuple[str, str] | None:
    """Hub id and commit of a folder inside a hub cache; None for any other folder."""
    match = _SNAPSHOT.search(folder.resolve().as_posix())
    return (f"{match['org']}/{match['name']}", match["commit"]) if match else None


def is_commit(text: str | None) -> bool:
    """Whether `text` is a full commit hash, the only revision that cannot move."""
    return text is not None and bool(_COMMIT.fullmatch(text))


def package_folder(package: Package) -> Path | None:
    """Folder of the checkpoint inside an installed distribution, found without importing it; or None."""
    try:
        folder = Path(str(distribution(package.distribution).locate_file(package.folder)))
    except PackageNotFoundError:
        return None
    return folder if folder.is_dir() else None


def _begun(folder: Path) -> bool:
    """Whether config or weights are lacking, as in what an interrupted download leaves."""
    names = [path.name for path in folder.rglob("*")]
    described = "config.json" in names or (folder / "modules.json").is_file()
    return not described or not any(name.endswith((".safetensors", ".bin")) for name in names)


def _settled(folder: Path) -> bool:
    """Whether it is known if a snapshot with config and weights has modules behind its transformer.

    Without modules.json a bi-encoder would be pooled in another way. That the repository has none is known
    from its list of files, which the hub's library keeps and has compared, or from a file request that it
    remembers as in vain; a classifier needs none.
    """
    if (folder / "modules.json").is_file():
        return True
    repository, commit = folder.parents[1], folder.name
    listed = repository / "trees" / f"{commit}.json"
    if listed.is_file() or (repository / ".no_exist" / commit / "modules.json").is_file():
        return True
    named = read_json(folder / "config.json", {}).get("architectures") or []
    return any(str(name).endswith("ForSequenceClassification") for name in named)


def _advice(page: str, package: Package | None) -> str:
    advice = (
        "set HF_HOME to a cache that holds it or HF_ENDPOINT to a mirror, or put *.json (those in folders "
        "such as 1_Pooling too),\n*.txt, *.model and *.safetensors of "
        f"https://huggingface.co/{page} into a folder and pass --weights DIR"
    )
    return advice + (f"; or: pip install 'harness[{package.extra}]'" if package else "")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
