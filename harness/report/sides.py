"""One side of a comparison: the stored results of one model, from wherever they are kept."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pyarrow as pa

from harness.errors import ConfigError, StoreError, UnknownNameError
from harness.models.catalog import Catalog
from harness.models.resolve import parse_reference
from harness.report.addresses import unmoved
from harness.report.card_read import card_results
from harness.store import Store
from harness.types import Result

Entry = tuple[str, str, str]  # task, split, subset


@dataclass(frozen=True)
class Side:
    """Results of one model, revision and variant under one protocol.

    Attributes:
        label: how a report names it.
        results: by task, split and subset.
        samples: reads the per-example values of a result; None where there are none.
    """

    label: str
    results: Mapping[Entry, Result]
    samples: Callable[[Result], pa.Table | None]


def stored_side(store: Store, text: str, protocol: str, catalog: Catalog) -> Side:
    """The results of `NAME[@REVISION][+VARIANT]` in a store.

    A token that cannot matter to a task is not part of its address; so results without the token of a first
    stage, or of a prompt policy that changes nothing, complete the variant's.

    Raises:
        UnknownNameError: no results of that model.
        StoreError: no results of that revision or variant, or several revisions and none is named.
    """
    reference = parse_reference(text)
    row = catalog.find(reference.name)
    names = {reference.name, row.title if row else "", f"local/{Path(reference.name).name}"}
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


def only_side(store: Store, like: str, protocol: str, catalog: Catalog) -> Side:
    """The results in a baseline's folder: of the model `like` if it has some there, else of its only model.

    Raises:
        StoreError: several other models.
    """
    models = sorted({r.model for r in store.results() if r.protocol == protocol})
    reference = parse_reference(like)
    row = catalog.find(reference.name)
    wanted = [m for m in models if m in (reference.name, row.title if row else "")]
    if not wanted and len(models) != 1:
        held = ", ".join(models) or "nothing"
        raise StoreError(
            f"{store.root} holds {held}: name the baseline's model with --baseline MODEL --results"
        )
    name = (wanted or models)[0]
    return stored_side(store, "+".join([name, *reference.tokens]) if wanted else name, protocol, catalog)


@contextmanager
def of_git(revision: str, path: str, where: Path | None = None) -> Iterator[Store]:
    """A results folder as it stands in a git revision, for as long as the block lasts.

    Raises:
        StoreError: git does not know the revision or the path.
    """
    if revision.startswith("-") or path.startswith("-"):
        raise ConfigError(f"git:{revision}:{path} is not git:REVISION:PATH")
    command = ["git", "-C", str(where or Path.cwd()), "archive", "--format=tar", f"{revision}:{path}"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - no shell, checked above
    except FileNotFoundError as error:
        raise StoreError("git is not installed, so a git: baseline cannot be read") from error
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise StoreError(f"git has no {path} at {revision}: {why[-1] if why else 'unknown error'}")
    with tempfile.TemporaryDirectory(prefix="harness-baseline-") as folder:
        with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield Store(folder, repair=False)


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
    raise StoreError(f"{store.root} has no results of {text}; revisions there: {held}")


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
        raise StoreError(f"{store.root} has no results of {text}; variants there: {held}")
    return found


def _samples(store: Store) -> Callable[[Result], pa.Table | None]:
    def read(result: Result) -> pa.Table | None:
        return None if result.samples_sha256 is None and result.samples is None else store.samples(result)

    return read


def _label(model: str, revision: str | None, tokens: Sequence[str]) -> str:
    return "+".join([f"{model}@{revision[:12]}" if revision else model, *tokens])
