"""The cache over its life: several runs at once, verify, prune; nothing robbed, nothing foreign touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from harness.cli import cache as cache_verbs
from harness.engine import upkeep
from harness.engine.encode import embed
from harness.engine.namespace import claimed, writing
from harness.engine.shards import check_shard, write_shard
from harness.engine.vectors import VectorStore, open_vectors, text_keys
from harness.errors import ConfigError, StoreError, UnknownNameError
from harness.models.fake import FakeEncoder
from harness.types import Texts

POOL = [f"text number {i} " + "word " * (i % 17) for i in range(240)]


def fill(root: Path, fingerprint: str = "f00d", model: str = "org/name", kind: str = "vectors") -> Path:
    """A namespace of two shards."""
    folder = root / kind / fingerprint
    store = VectorStore(folder, "vectors" if kind == "vectors" else "scores", label=model)
    shape = (2, 3) if kind == "vectors" else (2,)
    store.append(text_keys(Texts(["a", "b"])), np.ones(shape, np.float32))
    store.append(text_keys(Texts(["c", "d"])), np.zeros(shape, np.float32))
    return folder


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def spoil(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 4
    path.write_bytes(raw)


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def verb(tmp_path: Path) -> Callable[..., Result]:
    """`harness cache ...` on `tmp_path / "cache"`, in this process; errors of ours are raised."""
    app = typer.Typer()
    cache_verbs.register(app)

    @app.callback()
    def main() -> None:
        """So that `cache` is a verb among others."""

    def call(*arguments: str) -> Result:
        answer = CliRunner().invoke(app, ["cache", *arguments, "--cache", str(tmp_path / "cache")])
        if answer.exception is not None and not isinstance(answer.exception, SystemExit):
            raise answer.exception
        return answer

    return call


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def embed_some(cache: str, seed: int) -> int:
    """One run of several: embed overlapping samples of POOL and check every vector."""
    model = FakeEncoder(dim=8)
    store = open_vectors(model.card, cache, False, print)
    random = np.random.default_rng(seed)
    for _ in range(6):
        texts = Texts([POOL[at] for at in random.choice(len(POOL), 80, replace=False)])
        (vectors,) = embed(model, [texts], store)
        np.testing.assert_array_equal(vectors.gather(), model.encode(texts))
    return len(store)


def test_concurrent_runs_write_no_key_twice_and_get_every_vector_right(root: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(embed_some, [str(root)] * 4, range(4)))
    (space,) = upkeep.namespaces(root)
    keys = np.concatenate([check_shard(path, "vectors")[1] for path in shards(space.folder)])
    assert len(np.unique(keys, axis=0)) == len(keys) > 200
    health = upkeep.verify(root)
    assert not health.damaged
    assert not health.repeated
    store, model = VectorStore(space.folder), FakeEncoder(dim=8)
    asked = Texts(POOL)
    found = store.find(text_keys(asked))
    there = np.flatnonzero(found >= 0)
    expected = model.encode(Texts([POOL[at] for at in there]))
    np.testing.assert_array_equal(store.vectors(found[there]).gather(), expected)


HOLDER = """
import sys, time
from pathlib import Path
from harness.engine.namespace import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_that_is_held_is_waited_for_and_dies_with_its_process(root: Path) -> None:
    folder = fill(root)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(StoreError, match=r"another process has held \.lock"),
            writing(folder, seconds=0.1),
        ):
            pass
        holder.kill()
    with writing(folder, seconds=5):
        pass


class TestList:
    def test_counts_and_names(self, root: Path, verb: Callable[..., Result]) -> None:
        folder = fill(root)
        fill(root, "beef", "org/cross", "pairs")
        (folder / f".{'0' * 16}.tmp").write_bytes(b"12345")
        one, other = json.loads(verb("list", "--json").stdout)["namespaces"]
        assert (one["kind"], one["fingerprint"], one["model"], one["shards"]) == (
            "vectors", "f00d", "org/name", 2,
        )  # fmt: skip
        assert one["bytes"] == sum(path.stat().st_size for path in shards(folder))
        assert (one["leftover_bytes"], other["leftover_bytes"]) == (5, 0)
        assert time.time() - one["used"] < 60
        assert other["kind"] == "pairs"
        table = verb("list").stdout
        assert "org/name" in table
        assert "last used" in table

    def test_an_empty_cache_is_no_error(self, verb: Callable[..., Result]) -> None:
        assert json.loads(verb("list", "--json").stdout)["namespaces"] == []

    def test_a_label_that_is_no_text_is_shown_somehow(self, root: Path) -> None:
        (fill(root) / "model.txt").write_bytes(b"\xff\xfe")
        assert upkeep.inventory(root)[0]["model"]


class TestVerify:
    def test_a_sound_cache_is_good(self, root: Path, verb: Callable[..., Result]) -> None:
        fill(root)
        fill(root, "beef", "org/cross", "pairs")
        answer = verb("verify", "--json")
        assert answer.exit_code == 0
        found = json.loads(answer.stdout)
        assert (found["shards"], found["damaged"], found["repeated_keys"], found["foreign"]) == (
            4,
            [],
            {},
            [],
        )
        assert "4 shards" in verb("verify").stdout

    def test_a_bad_shard_is_named_and_left(self, root: Path, verb: Callable[..., Result]) -> None:
        folder = fill(root)
        spoil(shards(folder)[0])
        before = everything(root)
        answer = verb("verify")
        assert answer.exit_code == 1
        assert shards(folder)[0].name in answer.stdout
        assert "--repair" in answer.stderr
        assert everything(root) == before

    def test_repair_sets_it_aside(self, root: Path, verb: Callable[..., Result]) -> None:
        folder = fill(root)
        victim = shards(folder)[0]
        spoil(victim)
        answer = verb("verify", "--repair", "--json")
        assert answer.exit_code == 1
        (bad,) = json.loads(answer.stdout)["damaged"]
        assert bad["shard"] == f"vectors/f00d/{victim.name}"
        assert bad["set_aside"] == f"{victim.stem}.damaged"
        assert (folder / bad["set_aside"]).is_file()
        assert verb("verify").exit_code == 0

    def test_a_shard_of_other_width_is_bad(self, root: Path) -> None:
        folder = fill(root)
        odd = write_shard(folder, np.full((1, 16), 7, np.uint8), np.ones((1, 9), np.float32), "vectors")
        ((path, reason, aside),) = upkeep.verify(root).damaged
        assert (path, aside) == (odd, None)
        assert "length 9 where the others have 3" in reason

    def test_repeated_keys_and_foreign_files_are_notes(self, root: Path, verb: Callable[..., Result]) -> None:
        folder = fill(root)
        again = text_keys(Texts(["a", "z"])).view(np.uint8).reshape(-1, 16)
        write_shard(folder, again, np.ones((2, 3), np.float32), "vectors")
        (folder / "notes.txt").write_text("mine")
        (root / "vectors/stray").write_text("mine")
        found = json.loads(verb("verify", "--json").stdout)
        assert found["repeated_keys"] == {"vectors/f00d": 1}
        assert found["foreign"] == ["vectors/f00d/notes.txt", "vectors/stray"]
        answer = verb("verify")
        assert answer.exit_code == 0
        assert "notes.txt" in answer.stdout
        assert "1 keys stand more than once" in answer.stdout

    def test_progress_counts_every_byte(self, root: Path) -> None:
        folder = fill(root)
        steps: list[tuple[int, int]] = []
        upkeep.verify(root, progress=lambda done, total: steps.append((done, total)))
        total = sum(path.stat().st_size for path in shards(folder))
        assert steps[0] == (0, total)
        assert steps[-1] == (total, total)


class TestPrune:
    def test_without_a_choice_only_leftovers_go(self, root: Path, verb: Callable[..., Result]) -> None:
        folder = fill(root)
        before = everything(root)
        (folder / f".{'0' * 16}.tmp").write_bytes(b"half")
        (folder / f"{'1' * 32}.damaged").write_bytes(b"bad")
        (folder / "notes.tmp").write_bytes(b"mine")
        assert "would remove 2 files" in verb("prune", "--dry-run").stdout
        assert len(everything(root)) == len(before) + 3
        assert "removed 2 files" in verb("prune").stdout
        assert everything(root) == {**before, "vectors/f00d/notes.tmp": b"mine"}

    def test_what_goes_is_said_with_the_model_it_is_of(self, root: Path, verb: Callable[..., Result]) -> None:
        fill(root)
        assert "would remove: vectors/f00d of org/name\n" in verb("prune", "--all", "--dry-run").stdout
        assert "removed: vectors/f00d of org/name\n" in verb("prune", "--all").stdout

    def test_a_temporary_file_of_a_living_writer_stays(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = fill(root)
        (folder / f".{'0' * 16}.tmp").write_bytes(b"half")
        monkeypatch.setattr(upkeep, "writing", lambda folder, seconds: writing(folder, 0.05))
        with writing(folder):
            pruned = upkeep.leftovers(upkeep.namespaces(root))
        assert pruned.files == 0
        assert pruned.kept[0][0] == folder

    @pytest.mark.parametrize(
        ("arguments", "gone"),
        [
            (["--model", "org/name"], {"f00d"}),
            (["--fingerprint", "beef"], {"beef"}),
            (["--older-than", "2d"], {"cafe0"}),
            (["--all"], {"f00d", "beef", "cafe0"}),
            (["--model", "org/name", "--older-than", "2d"], set()),
        ],
    )
    def test_what_is_chosen_goes(
        self, root: Path, verb: Callable[..., Result], arguments: list[str], gone: set[str]
    ) -> None:
        fill(root)
        fill(root, "beef", "org/cross", "pairs")
        old = fill(root, "cafe0", "org/old")
        os.utime(old / ".use", (1, time.time() - 3 * 86400))
        before = everything(root)
        dry = verb("prune", "--dry-run", "--json", *arguments)
        assert everything(root) == before
        answer = verb("prune", "--json", *arguments)
        assert answer.exit_code == 0
        said, promised = json.loads(answer.stdout), json.loads(dry.stdout)
        assert {Path(name).name for name in said["namespaces"]} == gone
        assert {**promised, "dry_run": False} == said
        assert {space.fingerprint for space in upkeep.namespaces(root)} == {"f00d", "beef", "cafe0"} - gone

    @pytest.mark.parametrize(
        ("arguments", "error", "match"),
        [
            (["--model", "org/nam"], UnknownNameError, "did you mean org/name"),
            (["--fingerprint", "0123"], UnknownNameError, "fingerprint"),
            (["--fingerprint", ""], ConfigError, "at least 4"),
            (["--older-than", "month"], ConfigError, "30d"),
            (["--all", "--model", "org/name"], ConfigError, "--all"),
        ],
    )
    def test_a_choice_that_means_nothing_removes_nothing(
        self, root: Path, verb: Callable[..., Result], arguments: list[str], error: Any, match: str
    ) -> None:
        fill(root)
        before = everything(root)
        with pytest.raises(error, match=match):
            verb("prune", *arguments)
        assert everything(root) == before

    def test_what_a_run_uses_stays(self, root: Path, verb: Callable[..., Result]) -> None:
        folder = fill(root)
        store = VectorStore(folder)
        vectors = store.vectors(store.find(text_keys(Texts(["a"]))))
        del store
        answer = verb("prune", "--all")
        assert answer.exit_code == 1
        assert "in use by a running evaluation" in answer.stdout
        assert vectors.gather().tolist() == [[1, 1, 1]]
        del vectors
        assert verb("prune", "--all").exit_code == 0
        assert not folder.exists()

    def test_a_plan_does_not_count_as_use(self, root: Path) -> None:
        folder = fill(root)
        store = VectorStore(folder)
        assert store.present(text_keys(Texts(["a"]))).all()
        assert not upkeep.prune(upkeep.namespaces(root)).kept
        assert store.find(text_keys(Texts(["a"]))).tolist() == [-1], "and what went is missing, not wrong"
        store.append(text_keys(Texts(["a"])), np.ones((1, 3), np.float32))
        assert store.find(text_keys(Texts(["a"]))).tolist() == [4]

    def test_foreign_files_and_their_folder_stay(self, root: Path, verb: Callable[..., Result]) -> None:
        folder = fill(root)
        (folder / "thesis.txt").write_text("mine")
        (folder / "below").mkdir()
        (folder / f"below/{'0' * 32}.safetensors").write_text("mine")
        (root / "models").mkdir()
        (root / "models/hashes.json").write_text("{}")
        (root / "vectors/not a namespace").mkdir()
        answer = verb("prune", "--all")
        assert answer.exit_code == 1
        assert "below" in answer.stdout
        assert sorted(everything(root)) == [
            "models/hashes.json",
            f"vectors/f00d/below/{'0' * 32}.safetensors",
            "vectors/f00d/thesis.txt",
        ]
        assert (root / "vectors/not a namespace").is_dir()

    def test_links_are_not_followed(self, root: Path, tmp_path: Path, verb: Callable[..., Result]) -> None:
        outside = fill(tmp_path / "elsewhere")
        before = everything(tmp_path / "elsewhere")
        (root / "vectors").mkdir(parents=True)
        (root / "vectors/abcd").symlink_to(outside)
        (root / "pairs").symlink_to(outside.parent)
        inside = fill(root, "f00d")
        (inside / shards(outside)[0].with_suffix(".damaged").name).symlink_to(shards(outside)[0])
        verb("prune")
        verb("prune", "--all")
        assert everything(tmp_path / "elsewhere") == before
        assert (root / "vectors/abcd").is_symlink()

    def test_who_deletes_is_alone(self, root: Path) -> None:
        folder = fill(root)
        with claimed(folder) as alone:
            assert alone
            with claimed(folder) as second:
                assert not second
