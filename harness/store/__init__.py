"""The results store: one JSON a task that mteb can read, per-example values beside it, failures apart."""

from harness.store.results import Failure, Store

__all__ = ["Failure", "Store"]
