"""Files of a results tree to rows of its index; `python -m harness.store.scan ROOT` is one of the workers.

The files of mteb 2 are read by the quickest way there is, without what no table shows (values of single
experiments, languages); all others (ours, older formats, literal NaN inside lists, damaged ones) by the
store's own code. Both ways give the same rows.
"""

from __future__ import annotations

import gc
import io
import json
import sys
from array import array
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.errors import StoreError
from harness.store.files import FAILED, META, CorruptFileError, place_of, read_bytes
from harness.store.foreign import NESTED, PROVENANCE, SCORER, main_metric
from harness.store.format import decode, results_of
from harness.store.results import checked, failures_in, object_in

KEPT = ("source", "settings", "prompts", "seconds", "encode_seconds", "texts_encoded")  # of the provenance
COMMON = ("task", "kind", "scorer", "data_revision", "data_fingerprint", "provenance", "samples")
OWN = ("split", "subset", "main_metric", "names")
WORDS = (*COMMON, *OWN)
LONGEST = 500  # characters of a fact about a model; longer ones (citations) are in no table

_ODD = {*NESTED, "mteb_version"}  # in the scores of older files
_MISSING = object()
_Row = tuple[str, str, str, Mapping[str, float]]  # split, subset, main metric, metrics
_Value = float | bool | str | None | list[msgspec.Raw] | dict[str, msgspec.Raw]


class _Foreign(msgspec.Struct):
    scores: dict[str, list[dict[str, _Value]]]
    dataset_revision: str
    harness: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_DECODER = msgspec.json.Decoder(_Foreign)


class Scan:
    """Rows of the files read so far, by column: words as numbers of a vocabulary, values end to end."""

    def __init__(self) -> None:
        self.file = array("i")  # as the codes of COMMON a number for `counts` rows
        self.counts = array("i")
        self.codes = {name: array("i") for name in WORDS}
        self.vocabulary: dict[str, dict[str, int]] = {name: {} for name in WORDS}
        self.ends = array("i", [0])
        self.values = array("d")
        self.problems: list[tuple[int, str]] = []
        self.contents: list[tuple[int, Any]] = []

    def read(self, root: Path, path: str, number: int) -> None:
        """Add the rows of one file; what is wrong with it goes to `problems`, never up.

        Args:
            path: relative to `root`, with slashes.
            number: of the file, in its rows.
        """
        try:
            raw = read_bytes(f"{root}/{path}")
        except OSError as fault:
            self.problems.append((number, f"cannot be read ({fault.strerror})"))
            return
        name = path.rpartition("/")[2]
        try:
            if name == META:
                self.contents.append((number, _facts(object_in(raw))))
            elif name.endswith(FAILED):
                self.contents.append((number, failures_in(raw)))
            elif not self._foreign(raw, path, number):
                self._any(raw, path, number)
        except CorruptFileError as fault:
            self.problems.append((number, f"cannot be read ({fault})"))
        except StoreError as fault:
            self.problems.append((number, str(fault)))

    def _foreign(self, raw: bytes, path: str, number: int) -> bool:
        """Read a file of mteb 2; False where it is anything else, then nothing was added."""
        folder, _, name = path.rpartition("/")
        document = _decoded(raw) if _protocol(folder) == "mteb" else None
        if document is None or document.harness is not msgspec.UNSET:
            return False
        found: list[_Row] = []
        wrong: list[str] = []
        seen: set[tuple[str, str]] = set()
        for split, scores in document.scores.items():
            for score in scores:
                subset, main = score.get("hf_subset"), score.pop("main_score", _MISSING)
                odd = main is _MISSING or type(subset) is not str or type(score.get("languages")) is not list
                if odd or not _ODD.isdisjoint(score):
                    return False
                assert isinstance(subset, str)
                if (split, subset) in seen:
                    wrong.append(f"has {split}/{subset} twice; the first one counts")
                    continue
                seen.add((split, subset))
                if type(main) is not float:
                    wrong.append(f"has no finite main score for {split}/{subset}; left out")
                    continue
                metrics = {metric: value for metric, value in score.items() if type(value) is float}
                shown = main_metric(metrics, main)
                if shown not in metrics:
                    metrics[shown] = main
                found.append((split, subset, shown, metrics))
        task = name.removesuffix(".json")
        self._add(number, (task, "", SCORER, document.dataset_revision, "", _FOREIGN, ""), found)
        self.problems += [(number, line) for line in wrong]
        return True

    def _any(self, raw: bytes, path: str, number: int) -> None:
        *folder, name = path.split("/")
        place, task = place_of(folder), name.removesuffix(".json")
        document = checked(decode(raw), place, task)
        report = self.problems
        for r in results_of(document, place, task, lambda line: report.append((number, line))):
            kept = json.dumps({key: r.provenance[key] for key in KEPT if key in r.provenance}, sort_keys=True)
            common = (
                task,
                r.kind,
                r.scorer,
                r.data_revision,
                r.data_fingerprint,
                kept,
                r.samples_sha256 or "",
            )
            self._add(number, common, [(r.split, r.subset, r.main_metric, r.metrics)])

    def _add(self, number: int, common: Sequence[str], rows: Sequence[_Row]) -> None:
        """Rows of a file that have all of COMMON in common."""
        self.file.append(number)
        self.counts.append(len(rows))
        for name, word in zip(COMMON, common, strict=True):
            known = self.vocabulary[name]
            self.codes[name].append(known.setdefault(word, len(known)))
        own = zip(*((r[0], r[1], r[2], _names(tuple(r[3]))) for r in rows), strict=True)
        for name, words in zip(OWN, own, strict=False):
            known = self.vocabulary[name]
            self.codes[name].extend([known.setdefault(word, len(known)) for word in words])
        for *_, metrics in rows:
            self.values.extend(metrics.values())
            self.ends.append(len(self.values))

    def table(self) -> pa.Table:
        """The rows; problems and contents as JSON in the schema's metadata."""
        columns: dict[str, Any] = {"file": numbers(self._each(self.file), pa.int32())}
        for name, codes in self.codes.items():
            words = strings(list(self.vocabulary[name]))
            rows = self._each(codes) if name in COMMON else codes
            columns[name] = pa.DictionaryArray.from_arrays(numbers(rows, pa.int32()), words)
        ends = numbers(self.ends, pa.int32())
        columns["values"] = pa.ListArray.from_arrays(ends, numbers(self.values, pa.float64()))
        told = {"problems": json.dumps(self.problems), "contents": json.dumps(self.contents)}
        return pa.table(columns).replace_schema_metadata(told)

    def _each(self, numbers: array[int]) -> npt.NDArray[np.int32]:
        """Numbers of whole groups of rows, one a row."""
        return np.repeat(np.asarray(numbers, "i4"), np.asarray(self.counts, "i4"))


def numbers(values: Any, kind: Any) -> Any:
    """An Arrow array over a buffer of numbers; `pa.array` would import pandas to look at them."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def plain(column: Any) -> npt.NDArray[Any]:
    """The numbers of an Arrow column without nulls; `to_numpy` would import pandas."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = np.dtype({pa.int32(): "i4", pa.int64(): "i8", pa.float64(): "f8"}[whole.type])
    if not len(whole):
        return np.empty(0, kind)
    return np.frombuffer(whole.buffers()[1], kind, len(whole), whole.offset * kind.itemsize)


def strings(words: Sequence[str]) -> Any:
    """An Arrow array of words; half a surrogate pair, which UTF-8 cannot hold, becomes its escape."""
    raw = [word.encode("utf-8", "backslashreplace") for word in words]
    ends = array("i", [0, *accumulate(map(len, raw))])
    return pa.StringArray.from_buffers(len(raw), pa.py_buffer(ends), pa.py_buffer(b"".join(raw)))


def scanned(root: Path, paths: Sequence[tuple[int, str]]) -> pa.Table:
    """The table of some files, given as number and path relative to the root."""
    scan = Scan()
    for number, path in paths:
        scan.read(root, path, number)
    return scan.table()


def _decoded(raw: bytes) -> _Foreign | None:
    # mteb writes NaN where there is no value. A quote before the colon ends a key, unless it is escaped.
    if b'": NaN' in raw and b'\\": NaN' not in raw:
        raw = raw.replace(b'": NaN', b'": null')
    try:
        return _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


@cache
def _protocol(folder: str) -> str:
    return place_of(folder.split("/")).protocol


@cache
def _names(names: tuple[str, ...]) -> str:
    return json.dumps(names)


def _facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What a report may say of a model: single values, and the lists that are short."""
    plain = {k: v for k, v in meta.items() if isinstance(v, str | int | float) and len(str(v)) <= LONGEST}
    return {
        **plain,
        **{k: meta[k] for k in ("embed_dim", "model_type", "languages") if isinstance(meta.get(k), list)},
    }


_FOREIGN = json.dumps(PROVENANCE)


def main() -> None:
    """Read number and path of each file from stdin (JSON), write the table to stdout (Arrow)."""
    gc.disable()  # nothing here has cycles, and all of it stays
    table = scanned(Path(sys.argv[1]), json.load(sys.stdin))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    sys.stdout.buffer.write(sink.getbuffer())


if __name__ == "__main__":
    main()
