"""One side of a comparison: the stored results of one model, from wherever they are kept."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

import pyarrow as pa

from harness.errors import ConfigError, HarnessError, StoreError, UnknownNameError
from harness.models.catalog import Catalog
from harness.models.resolve import parse_reference
from harness.report.addresses import unmoved
from harness.report.card.read import card_results
from harness.store import Store
from harness.store.files import NO_REVISION, place_of
from harness.types import Result

Entry = tuple[str, str, str]  # task, split, subset


@dataclass(frozen=True)
class Side:
    """Results of one model, revision and variant under one protocol.

    Attributes:
        label: how a report names it.
        results: by task, split and subset.
        samples: reads the per-example values of a result; None where there are none.
        where: what holds them, where two sides may be of one label.
    """

    label: str
    results: Mapping[Entry, Result]
    samples: Callable[[Result], pa.Table | None]
    where: str = ""

    @property
    def name(self) -> str:
        """The label, with where it is from."""
        return f"{self.label} in {self.where}" if self.where else self.label


def stored_side(store: Store, text: str, protocol: str, catalog: Catalog) -> Side:
    """The results of `NAME[@REVISION][+VARIANT]` in a store.

    A token that cannot matter to a task is not part of its address; so results without the token of a first
    stage, or of a prompt policy that changes nothing, complete the variant's.

    Raises:
        UnknownNameError: no results of that model.
        StoreError: no results of that revision or variant, or several revisions and none is named.
    """
    reference = parse_reference(text)
    names = _names(reference.name, catalog)
    own = [r for r in store.results(models=names) if r.protocol == protocol]
    if not own:
        hint = (
            f"no results of it under protocol {protocol} in {store.root}\nmake them with: harness eval {text}"
        )
        raise UnknownNameError("model", reference.name, store.models(), hint)
    revision = _revision(own, reference.revision, text, store)
    own = [r for r in own if r.revision == revision]
    return Side(
        _label(own[0].model, revision, reference.tokens),
        _of_variant(own, reference.tokens, text, store),
        _samples(store),
    )


def own_side(store: Store, model: str, protocol: str, catalog: Catalog, command: str) -> Side:
    """The stored results of a model.

    Args:
        command: what makes them, for the errors.

    Raises:
        UnknownNameError: no results of it.
        StoreError: only results by other protocols; or as `stored_side`.
    """
    try:
        return stored_side(store, model, protocol, catalog)
    except UnknownNameError as error:
        others = _held(store, model, catalog)
        made = f"under protocol {protocol} in {store.root}\nmake them with: {command}"
        if others:
            raise StoreError(f"{model} has results by {', '.join(others)}, but none {made}") from error
        raise nothing_of(model, made, store.models(), catalog) from error


def nothing_of(model: str, made: str, known: Iterable[str], catalog: Catalog) -> HarnessError:
    """The error that no results of a model are stored: a model of the catalog is not called unknown.

    Args:
        made: where there are none, and the command that makes them.
        known: the names that results have.
    """
    name = parse_reference(model).name
    if catalog.find(name):
        return StoreError(f"{model} has no results {made}")
    return UnknownNameError("model", name, known, f"no results of it {made}")


def held_protocol(store: Store, model: str, catalog: Catalog) -> str:
    """The protocol of a model's results where nobody names one: mteb where it has any, else the only one.

    Raises:
        ConfigError: several others.
    """
    held = _held(store, model, catalog)
    if "mteb" in held or not held:
        return "mteb"
    if len(held) > 1:
        raise ConfigError(
            f"{model} has results of several protocols: {', '.join(held)}; name one with --protocol"
        )
    return held[0]


def _held(store: Store, model: str, catalog: Catalog) -> list[str]:
    """The protocols that a model has results by."""
    names = _names(parse_reference(model).name, catalog)
    return sorted({result.protocol for result in store.results(models=names)})


def only_side(store: Store, like: str, protocol: str, catalog: Catalog) -> Side:
    """The results in a baseline's folder: of the model `like` if it has some there, else of its only model.

    The folder may also be that of one model within a folder of results, or of one of its revisions.

    Raises:
        StoreError: nothing there, or several other models.
    """
    models = sorted({r.model for r in store.results() if r.protocol == protocol})
    reference = parse_reference(like)
    row = catalog.find(reference.name)
    wanted = [m for m in models if m in (reference.name, row.title if row else "")]
    if not models:
        for whole, text in _around(store.root.resolve()):
            model = parse_reference(text).name
            if any(r.protocol == protocol for r in whole.results(models={model})):
                return stored_side(whole, text, protocol, catalog)
        raise StoreError(f"{store.root} holds no results under protocol {protocol}")
    if not wanted and len(models) != 1:
        raise StoreError(
            f"{store.root} holds {', '.join(models)}, and none of them is {like}\n"
            f"name the folder of the one you mean, as in {store.root.name}/{models[0].replace('/', '__')}"
        )
    name = (wanted or models)[0]
    return stored_side(store, "+".join([name, *reference.tokens]) if wanted else name, protocol, catalog)


def _around(folder: Path) -> Iterator[tuple[Store, str]]:
    """The results that a model's folder may stand in, and those of a revision's, with what it is of them."""
    if not any(next(folder.glob(f"{below}*.json"), None) for below in ("", "*/", "*/*/")):
        return  # whatever lies around it, nothing in it is where results of one model are
    for root, parts in ((folder.parent, (folder.name,)), (folder.parent.parent, folder.parts[-2:])):
        place = place_of([*parts, NO_REVISION][:2])
        revision = f"@{place.revision}" if place.revision else ""
        yield Store(root, repair=False), "+".join([f"{place.model}{revision}", *place.variant])


def _git(where: Path, *words: str) -> bytes:
    command = ["git", "-C", str(where), *words]
    return subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603 - no shell, words checked


@contextmanager
def of_git(revision: str, path: str, where: Path | None = None) -> Iterator[Store]:
    """A results folder as it stands in a git revision, for as long as the block lasts.

    It keeps the last two parts of its path, which say of what model and revision it may be.

    Raises:
        StoreError: git does not know the revision or the path.
    """
    if revision.startswith("-") or path.startswith("-"):
        raise ConfigError(f"git:{revision}:{path} is not git:REVISION:PATH")
    here = where or Path.cwd()
    try:
        tree = _git(here, "rev-parse", "--verify", f"{revision}:{path}").decode().strip()
        top = (
            here / _git(here, "rev-parse", "--show-cdup").decode().strip()
        )  # archive cuts off what is above it
        packed = _git(top, "archive", "--format=tar", tree)
    except FileNotFoundError as error:
        raise StoreError("git is not installed, so a git: baseline cannot be read") from error
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode("utf-8", "replace").strip().splitlines()
        raise StoreError(_unread(revision, path, here, why[-1] if why else "no reason given")) from error
    with tempfile.TemporaryDirectory(prefix="harness-baseline-") as folder:
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            names = [part for part in PurePosixPath(path).parts if part not in ("/", ".", "..")]
            there = Path(folder, *names[-2:])
            archive.extractall(there, filter="data")
        yield Store(there, repair=False)


def _unread(revision: str, path: str, here: Path, why: str) -> str:
    """What is wrong with a git baseline: no repository, no such revision, or nothing of that path in it."""
    if "not a git repository" in why:
        return f"git:{revision}:{path} is read in a git repository, and {here} is in none"
    try:
        _git(here, "rev-parse", "--verify", f"{revision}^{{commit}}")
    except subprocess.CalledProcessError:
        return (
            f"git has no revision {revision}, so no {path} at it ({why})\n"
            f"in a shallow clone fetch it first: git fetch origin {revision.removeprefix('origin/')}"
        )
    return f"git has no folder {path} at {revision}\nsee what it has with: git ls-tree {revision} --name-only"


def card_side(path: Path, protocol: str) -> Side:
    """The scores in a model card's `model-index`: no per-example values, no fingerprints, no environment.

    Raises:
        DataError: as `card_results`.
    """
    results = card_results(path, protocol)
    return Side(
        f"{path} ({results[0].model})",
        {(r.task, r.split, r.subset): r for r in results},
        lambda result: None,
    )


def _revision(own: Sequence[Result], wanted: str | None, text: str, store: Store) -> str | None:
    there = sorted({r.revision for r in own}, key=str)
    if wanted is not None:
        there = [r for r in there if r is not None and r.startswith(wanted)]
    if len(there) == 1:
        return there[0]
    if there:
        raise StoreError(
            f"{text} has results of several revisions: {', '.join(map(str, there))}\nname one: NAME@REVISION"
        )
    held = ", ".join(str(r) for r in sorted({r.revision for r in own}, key=str))
    raise StoreError(
        f"{store.root} has no results of {text}; revisions there: {held}\nmake them with: harness eval {text}"
    )


def _of_variant(
    own: Sequence[Result], tokens: tuple[str, ...], text: str, store: Store
) -> dict[Entry, Result]:
    wanted = tuple(sorted(tokens))
    found = {(r.task, r.split, r.subset): r for r in own if tuple(sorted(r.variant)) == wanted}
    for result in own:
        left_out = set(wanted) - set(result.variant)
        policies = unmoved(result)
        irrelevant = all(t.startswith("first-") or t.removeprefix("prompts-") in policies for t in left_out)
        if left_out and irrelevant and set(result.variant) < set(wanted):
            found.setdefault((result.task, result.split, result.subset), result)
    if not found:
        held = ", ".join(sorted({"+".join(r.variant) or "no variant" for r in own}))
        raise StoreError(
            f"{store.root} has no results of {text}; variants there: {held}\n"
            f"make them with: harness eval {text}"
        )
    return found


def _samples(store: Store) -> Callable[[Result], pa.Table | None]:
    def read(result: Result) -> pa.Table | None:
        return None if result.samples_sha256 is None and result.samples is None else store.samples(result)

    return read


def _label(model: str, revision: str | None, tokens: Sequence[str]) -> str:
    return "+".join([f"{model}@{revision[:12]}" if revision else model, *tokens])


def _names(name: str, catalog: Catalog) -> set[str]:
    """What results may call a model."""
    row = catalog.find(name)
    return {name, row.title if row else "", f"local/{Path(name).name}"}
