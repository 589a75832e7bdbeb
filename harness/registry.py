"""Lazy registries: names to "module:attribute" strings, plugins from entry points on the first miss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from harness.errors import ConfigError, UnknownNameError


class Registry:
    """Names to objects, imported when first asked for.

    Args:
        what: the sort of thing held, for messages ("model adapter").
        builtins: name to "module:attribute"; present from the start, so no plugin can make them vanish.
        group: entry-point group searched once, when a name is not found or all names are listed.
    """

    def __init__(self, what: str, builtins: Mapping[str, str], group: str | None = None) -> None:
        self.what, self.group = what, group
        self._lazy: dict[str, str] = dict(builtins)
        self._live: dict[str, Any] = {}
        self._plugins_seen = group is None

    def register(self, name: str) -> Callable[[Any], Any]:
        """Decorator that adds an object under `name`; a name already taken is an error."""

        def add(thing: Any) -> Any:
            self._refuse_duplicate(name)
            self._live[name] = thing
            return thing

        return add

    def get(self, name: str) -> Any:
        """The object called `name`. Raises UnknownNameError with the nearest known names."""
        if name not in self._live and name not in self._lazy:
            self._discover()
        if name in self._live:
            return self._live[name]
        if name not in self._lazy:
            raise UnknownNameError(self.what, name, self)
        module, _, attribute = self._lazy[name].partition(":")
        try:
            self._live[name] = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"{self.what} {name!r} cannot be imported from {self._lazy[name]}: {error}"
            ) from error
        return self._live[name]

    def __contains__(self, name: str) -> bool:
        return name in set(self)

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(sorted(self._lazy.keys() | self._live.keys()))

    def _discover(self) -> None:
        if self._plugins_seen or self.group is None:
            return
        self._plugins_seen = True
        for point in sorted(entry_points(group=self.group), key=lambda p: p.name):
            self._refuse_duplicate(point.name)
            self._lazy[point.name] = point.value

    def _refuse_duplicate(self, name: str) -> None:
        if name in self._lazy or name in self._live:
            raise ConfigError(f"{self.what} {name!r} is registered twice; rename one of the two")
