"""Silence for libraries that draw bars and print reports; the user's screen is ours."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTY = ("transformers", "sentence_transformers", "huggingface_hub", "bm25s", "httpx", "httpx2", "filelock")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep bars, load reports and warnings of the model libraries off the screen; all is restored after.

    At level DEBUG of the logger "harness" (`-vv`) nothing is silenced. Import the library first: some set
    their own level when imported.
    """
    if logging.getLogger("harness").isEnabledFor(logging.DEBUG):
        yield
        return
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    transformers = sys.modules.get("transformers.utils.logging")
    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    hub_bars = not are_progress_bars_disabled()
    transformers_bars = transformers is not None and transformers.is_progress_bar_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.ERROR)
        disable_progress_bars()
        if transformers is not None:
            transformers.disable_progress_bar()
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            if transformers is not None and transformers_bars:
                transformers.enable_progress_bar()
            if hub_bars:
                enable_progress_bars()
