"""Whether the network may be asked, and whether the model hub answers: one short request, no retries."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from time import monotonic

PATIENCE = 4.0  # seconds for the hub's first answer
_KEPT = 60.0  # seconds that an answer holds
_YES = {"1", "ON", "YES", "TRUE"}
_SWITCHES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
_CONSTANTS = (("huggingface_hub.constants", "HF_HUB_OFFLINE"), ("datasets.config", "HF_HUB_OFFLINE"))


def why_offline(asked: bool) -> str:
    """Why no network call is to be made or would get an answer, in words; empty where the hub answers.

    Args:
        asked: the user said --offline. The environment (HF_HUB_OFFLINE and the like) counts as well.
    """
    if asked:
        return "this run is offline"
    for name in _SWITCHES:
        if os.environ.get(name, "").upper() in _YES:
            return f"this run is offline ({name})"
    return _silence(int(monotonic() // _KEPT))


def go_offline() -> None:
    """Forbid this process's libraries the network, whether or not they are imported yet."""
    for name in _SWITCHES:
        os.environ[name] = "1"
    for module, name in _CONSTANTS:
        if module in sys.modules:
            setattr(sys.modules[module], name, True)


@contextmanager
def cut_off(offline: bool) -> Iterator[None]:
    """Within the block, with `offline`, the libraries that load data sets make no network call."""
    if not offline:
        yield
        return
    modules = [(import_module(module), name) for module, name in _CONSTANTS]
    before = [getattr(module, name) for module, name in modules]
    for module, name in modules:
        setattr(module, name, True)
    try:
        yield
    finally:
        for (module, name), value in zip(modules, before, strict=True):
            setattr(module, name, value)


def transport_errors() -> tuple[type[Exception], ...]:
    """What the hub's HTTP library raises without a network: it has been httpx and is httpx2."""
    return tuple(sys.modules[name].HTTPError for name in ("httpx", "httpx2") if name in sys.modules)


def transient(error: BaseException) -> bool:
    """Whether an error, or what it came from, is a fault of the network or a busy server's."""
    seen: BaseException | None = error
    while seen is not None:
        status = getattr(getattr(seen, "response", None), "status_code", None)
        if status is not None:
            return bool(status == 429 or status >= 500)
        if isinstance(seen, (ConnectionError, TimeoutError, *transport_errors())):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@cache
def _silence(period: int) -> str:
    """Why the hub does not answer, asked once a period; empty where it does, whatever it says."""
    from huggingface_hub import constants, get_session

    endpoint, session = constants.ENDPOINT, get_session()
    failures: tuple[type[Exception], ...] = (OSError, *transport_errors())
    try:
        session.head(endpoint, timeout=PATIENCE)
    except failures as error:
        return f"the hub {endpoint} cannot be reached ({str(error) or type(error).__name__})"
    return ""
