"""Candidate lists in the cache: listed, verified and pruned beside vectors, nothing foreign touched."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.engine import lists
from harness.engine.lists import read_lists, write_lists
from harness.errors import StoreError
from tests.cli.test_cli import Answer, inside  # noqa: F401 - a fixture
from tests.engine.test_upkeep import everything, fill

FOUND = {"q": ["d2", "d1"], "Q²": []}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two lists of one first stage, one of another and a namespace of vectors."""
    root = tmp_path / "cache"
    for key, mark, name in (("a", "bm25f00d", "harness/bm25"), ("b", "bm25f00d", "harness/bm25"),
                            ("c", "beef", "org/dense")):  # fmt: skip
        write_lists(root / "candidates" / f"{key * 64}.jsonl", {"fingerprint": mark, "model": name}, FOUND)
    fill(root)
    return root


def test_what_is_written_is_read(root: Path) -> None:
    facts, found, digest = read_lists(root / "candidates" / f"{'c' * 64}.jsonl")
    assert (facts, found) == ({"fingerprint": "beef", "model": "org/dense"}, FOUND)
    assert digest == write_lists(None, {}, FOUND)


def test_list(root: Path, inside: Callable[..., Answer]) -> None:  # noqa: F811
    rows = json.loads(inside("cache", "list", "--cache", root, "--json").out)["namespaces"]
    found = {(r["kind"], r["fingerprint"]): (r["model"], r["shards"]) for r in rows}
    assert found == {
        ("vectors", "f00d"): ("org/name", 2),
        ("candidates", "beef"): ("org/dense", 1),
        ("candidates", "bm25f00d"): ("harness/bm25", 2),
    }
    sizes = {r["fingerprint"]: r["bytes"] for r in rows if r["kind"] == "candidates"}
    assert sizes["beef"] == (root / "candidates" / f"{'c' * 64}.jsonl").stat().st_size
    assert "harness/bm25" in inside("cache", "list", "--cache", root).out


def test_verify_and_repair(root: Path, inside: Callable[..., Answer]) -> None:  # noqa: F811
    home = root / "candidates"
    assert inside("cache", "verify", "--cache", root).code == 0
    bad = home / f"{'a' * 64}.jsonl"
    bad.write_bytes(bad.read_bytes().replace(b"d2", b"d3"))
    (home / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="is damaged"):
        read_lists(bad)
    answer = inside("cache", "verify", "--cache", root, "--json")
    health = json.loads(answer.out)
    assert answer.code == 1
    assert [(d["shard"], d["set_aside"]) for d in health["damaged"]] == [(f"candidates/{bad.name}", None)]
    assert health["foreign"] == ["candidates/notes.txt"]
    assert bad.is_file()
    told = inside("cache", "verify", "--cache", root, "--repair")
    assert told.code == 1
    assert f"damaged: candidates: {bad.name} is damaged" in told.out
    assert (home / f"{bad.name}.damaged").is_file()
    assert inside("cache", "verify", "--cache", root).code == 0
    assert not bad.exists()


def test_prune_without_a_choice_takes_leftovers(root: Path, inside: Callable[..., Answer]) -> None:  # noqa: F811
    home, before = root / "candidates", everything(root)
    old, young = home / f".{'0' * 16}.tmp", home / f".{'1' * 16}.tmp"
    for path in (old, young, home / f"{'d' * 64}.jsonl.damaged", home / "mine.tmp"):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert "would remove 2 files" in inside("cache", "prune", "--dry-run", "--cache", root).out
    assert len(everything(root)) == len(before) + 4
    assert "removed 2 files" in inside("cache", "prune", "--cache", root).out
    assert everything(root).keys() == {*before, f"candidates/{young.name}", "candidates/mine.tmp"}


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        (["--model", "harness/bm25"], "ab"),
        (["--fingerprint", "beef"], "c"),
        (["--older-than", "2d"], "c"),
        (["--all"], "abc"),
        (["--model", "harness/bm25", "--older-than", "2d"], ""),
        (["--model", "org/name"], ""),
    ],
)
def test_prune_takes_what_is_chosen(
    root: Path,
    inside: Callable[..., Answer],  # noqa: F811
    arguments: list[str],
    gone: str,
) -> None:
    home = root / "candidates"
    (home / "notes.txt").write_text("mine")
    os.utime(home / f"{'c' * 64}.jsonl", (time.time() - 3 * 86400,) * 2)
    kept = {f"{key * 64}.jsonl" for key in "abc" if key not in gone} | {"notes.txt"}
    before = everything(root)
    assert inside("cache", "prune", "--dry-run", "--cache", root, *arguments).code == 0
    assert everything(root) == before
    answer = inside("cache", "prune", "--cache", root, *arguments)
    assert answer.code == 0, answer.err
    assert {path.name for path in home.iterdir()} == kept
    for key in gone:
        assert f"candidates/{key * 64}.jsonl" in answer.out


def test_unknown_models_and_links(root: Path, tmp_path: Path, inside: Callable[..., Answer]) -> None:  # noqa: F811
    refused = inside("cache", "prune", "--cache", root, "--model", "harness/bm52")
    assert refused.code == 2
    assert "harness/bm25" in refused.err
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "candidates").symlink_to(root / "candidates")
    assert lists.kept_lists(linked) == []
    found = json.loads(inside("cache", "verify", "--cache", linked, "--json").out)
    assert found["foreign"] == ["candidates"]
    assert inside("cache", "prune", "--all", "--cache", linked).code == 0
    assert len(list((root / "candidates").iterdir())) == 3
