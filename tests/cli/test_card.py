"""`harness card` from the command line: diffs, checks, writes and pull requests, with their exit codes."""

from __future__ import annotations

import io
import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from harness.data.mteb_catalog import TaskInfo
from harness.store import Store
from tests.cli.test_cli import Answer, inside
from tests.report.cards import affiliation_results, jina_results, readme, reference
from tests.report.make import result
from tests.report.test_card_push import FakeHub

__all__ = ["inside"]
A = "org/a"
Call = Callable[..., Answer]
INFOS = {
    name: TaskInfo(name, kind, "", type_, main, ["test"], {"default": ["eng-Latn"]}, f"mteb/{name}", "abc")
    for name, kind, type_, main in (
        ("STSB", "sts", "STS", "cosine_spearman"),
        ("BQ", "sts", "STS", "cosine_spearman"),
        ("SciFact", "retrieval", "Retrieval", "ndcg_at_10"),
    )
}


@pytest.fixture
def card(inside: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run `harness card` on a store of its own, with a short table of mteb."""
    for module in ("harness.data.mteb_catalog", "harness.suite"):
        monkeypatch.setattr(f"{module}.catalog", lambda cache: INFOS)
    store = Store(tmp_path / "r")
    scores = {"cosine_spearman": 0.5, "cosine_pearson": 0.25}
    for variant in ((), ("bf16",)):
        store.put(
            result(
                A,
                "STSB",
                0.0,
                kind="sts",
                main="cosine_spearman",
                metrics=scores,
                exact=scores,
                variant=variant,
            )
        )
    store.put(result(A, "Mine", 0.125, kind="reranking"))
    store.put(result("local/ckpt", "STSB", 0.75, kind="sts", main="cosine_spearman", revision="0123456789ab"))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: inside("card", *arguments, "--results", tmp_path / "r")


CARD = """\
---
license: mit
model-index:
- name: a
  results:
  - task:
      type: STS
    dataset:
      type: C-MTEB/STSB
      name: MTEB STSB
      split: test
    metrics:
    - type: cos_sim_spearman
      value: 50
    - type: cos_sim_pearson
      value: 30.0
---
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("README.md")
    path.write_text(CARD, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_without_a_card_it_prints(card: Call) -> None:
    said = card(A)
    assert said.code == 0
    (entry,) = yaml.safe_load(said.out)["model-index"]
    shapes = [(g["task"]["type"], g["dataset"]["name"], g["metrics"][0]["value"]) for g in entry["results"]]
    assert shapes == [("text-ranking", "Mine", 0.125), ("STS", "MTEB STSB", 25.0)]
    assert json.loads(card(A, "--json").out) == yaml.safe_load(said.out)
    assert "value: 75.0" in card("./ckpt").out
    assert "value: 75.0" in card("local/ckpt@0123").out
    assert card(f"{A}+bf16", "--metrics", "main").out.count("- type:") == 1


def test_a_diff_and_a_summary(card: Call, path: Path) -> None:
    said = card(A, path, "--metrics", "main")
    assert said.code == 0
    assert "+      type: Mine\n" in said.out
    assert said.out.endswith("1 added, 0 updated, 1 unchanged, 0 conflicting\n")
    assert path.read_text(encoding="utf-8") == CARD
    said = card(A, path)
    assert "-      value: 30.0\n+      value: 25.0\n" in said.out
    assert "conflicting: README.md:16 STSB (test/default) cosine_pearson 30.0 -> 25.0\n" in said.out
    assert said.code == 0
    assert card(A, path.resolve()).out.startswith(f"--- a{path.resolve()}\n+++ b{path.resolve()}\n")


def test_check_and_write(card: Call, path: Path) -> None:
    assert card(A, path, "--check").code == 2
    assert card(A, path, "--write").code == 2
    assert path.read_text(encoding="utf-8") == CARD
    assert card(A, path, "--check", "--on-conflict", "update").code == 1
    said = card(A, path, "--write", "--on-conflict", "update")
    assert (said.code, said.err) == (0, f"wrote {path}\n")
    assert path.read_text(encoding="utf-8").startswith(CARD.replace("30.0", "25.0").removesuffix("---\n"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat().st_mtime_ns
    assert card(A, path, "--check").code == 0
    again = card(A, path, "--write")
    assert (again.code, again.err, path.stat().st_mtime_ns) == (0, "", before)
    assert card(A, path.parent, "--check").code == 0


def test_json(card: Call, path: Path) -> None:
    said = json.loads(card(A, path, "--json", "--on-conflict", "keep").out)
    assert said["counts"] == {
        "added": 1,
        "conflicting": 0,
        "kept": 1,
        "pruned": 0,
        "unchanged": 1,
        "updated": 0,
    }
    assert said["stale"] == ["README.md"]
    assert {c["what"]: c["old"] for c in said["changes"]} == {"added": None, "kept": "30.0"}
    assert said["diff"].startswith("--- a/README.md\n")


def test_prune_knows_every_stored_result(card: Call, path: Path, tmp_path: Path) -> None:
    old = result(A, "BQ", 0.5, kind="sts", main="cosine_spearman", revision="r0")
    Store(tmp_path / "r").put(old)
    assert card(f"{A}@r0", path, "--write").code == 0
    assert "MTEB BQ" in path.read_text(encoding="utf-8")
    rest = (f"{A}@r1", path, "--write", "--metrics", "main")
    assert card(*rest).code == 0
    assert "MTEB BQ" in path.read_text(encoding="utf-8")
    said = card(*rest, "--prune")
    assert "pruned: README.md:" in said.out
    assert "MTEB BQ" not in path.read_text(encoding="utf-8")
    assert "MTEB STSB" in path.read_text(encoding="utf-8")  # cosine_pearson is 30.0 there: not ours


def test_the_seed_cards(card: Call, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    front = reference(shared, "jina-embeddings-v2-base-zh")
    results = jina_results(front)
    infos = {r.task: TaskInfo(r.task, r.kind, "", "", "", [], {}, f"mteb/{r.task}", "") for r in results}
    types = {"sts": "STS", "pair_classification": "PairClassification"}
    monkeypatch.setattr(
        "harness.data.mteb_catalog.catalog",
        lambda cache: {
            k: TaskInfo(**{**vars(v), "type": types.get(v.kind, v.kind.title())}) for k, v in infos.items()
        },
    )
    store = Store(tmp_path / "r")
    for one in (*results, *affiliation_results()):
        store.put(one)
    path = Path("jina.md")
    path.write_text(readme(front), encoding="utf-8")
    for spelling in ("v1", "v2"):
        said = card("jina-v2-base-zh", path, "--metric-names", spelling, "--check")
        assert (said.code, said.out) == (0, "0 added, 0 updated, 367 unchanged, 0 conflicting\n")
    path.write_text(readme(reference(shared, "affiliation-reranker")), encoding="utf-8")
    said = card(affiliation_results()[0].model, path, "--check", "--digits", "4")
    assert (said.code, said.out) == (0, "0 added, 0 updated, 3 unchanged, 0 conflicting\n")


def test_a_suite_limits_what_is_written(card: Call, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "Mine"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"kind": "reranking", "main": "ndcg_at_10"}', encoding="utf-8")
    for part in ("corpus", "queries", "qrels", "candidates"):
        (folder / f"test.{part}.jsonl").write_text("{}\n", encoding="utf-8")
    suite = tmp_path / "mine.yaml"
    suite.write_text("suite: mine\ntitle: Mine\ntasks:\n- {name: Mine}\n", encoding="utf-8")
    said = card(A, "--suite", suite, "--data", tmp_path / "data")
    assert (said.code, said.out.count("  - task:"), said.err) == (0, 1, "")
    both = suite.with_name("both.yaml")
    both.write_text(f"{suite.read_text('utf-8')}- {{name: Other}}\n", encoding="utf-8")
    shutil.copytree(folder, folder.with_name("Other"))
    said = card(A, "--suite", both, "--data", tmp_path / "data")
    assert (said.code, said.err) == (0, "1 of 2 tasks of mine have no results: left out\n")
    said = card("local/ckpt", "--suite", suite, "--data", tmp_path / "data")
    assert said.code == 2
    assert "make them with: harness eval local/ckpt --suite mine" in said.err


def test_other_formats(card: Call, path: Path, tmp_path: Path) -> None:
    said = card(A, path, "--format", "table", "--write")
    assert (said.code, "no place for the table" in said.err) == (2, True)
    path.write_text(CARD + "<!-- harness:begin -->\n<!-- harness:end -->\n", encoding="utf-8")
    assert card(A, path, "--format", "table", "--check").code == 1
    assert card(A, path, "--format", "table", "--write").code == 0
    assert card(A, path, "--format", "table", "--check").code == 0
    assert "| STSB | test/default | cosine_spearman | 50.00 |\n<!-- harness:end -->\n" in path.read_text(
        "utf-8"
    )
    folder = tmp_path / "out"
    folder.mkdir()
    said = card("local/ckpt", folder, "--format", "mteb-json", "--write")
    assert said.code == 0
    assert "not a submission" in said.err
    assert json.loads((folder / "STSB.json").read_text(encoding="utf-8"))["task_name"] == "STSB"
    assert json.loads(card("local/ckpt", "--format", "mteb-json").out)[0]["task_name"] == "STSB"
    assert card("local/ckpt", tmp_path / "absent", "--format", "mteb-json", "--write").code == 2


def test_eval_results(card: Call, path: Path, tmp_path: Path) -> None:
    table = tmp_path / "map.yaml"
    table.write_text(
        "benchmarks:\n- {task: STSB, dataset: o/stsb, task_id: x, scale: 100}\n", encoding="utf-8"
    )
    options = ("--format", "eval-results", "--benchmark-map", table)
    assert card(A, *options).out.startswith("# .eval_results/o__stsb.x.yaml\n- dataset:\n    id: o/stsb\n")
    assert card(A, path, *options, "--check").code == 1
    assert card(A, path, *options, "--write").code == 0
    assert card(A, path, *options, "--check").code == 0
    assert (tmp_path / ".eval_results" / "o__stsb.x.yaml").is_file()
    absent = tmp_path / "absent" / "README.md"
    said = card(A, absent, *options, "--write")
    assert (said.code, "absent: no such folder" in said.err, absent.parent.exists()) == (2, True, False)
    said = card(A, path, "--format", "eval-results")
    assert (said.code, "needs --benchmark-map" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((A, "absent.md"), "absent.md: no such file"),
        ((A, "--write"), "need the README"),
        ((A, "README.md", "--write", "--check"), "--write and --check exclude each other"),
        ((A, "README.md", "--replace-revision", "--keep-both"), "exclude each other"),
        ((A, "README.md", "--push", "o/n"), "leave README out"),
        ((A, "--push", "name"), "is not ORG/NAME"),
        ((A, "--push", "o/n", "--offline"), "exclude each other"),
        ((A, "--push", "o/n", "--json"), "exclude each other"),
        ((A, "--push", "o/n", "--format", "mteb-json"), "not pushed"),
        ((A, "--yes"), "belong to --push"),
        ((A, "README.md", "--prune", "--format", "table"), "--prune belongs to --format model-index"),
        ((A, "README.md", "--benchmark-map", "x"), "--benchmark-map belongs to"),
        ((A, "--profile", "mteb"), "Mine is no task of mteb"),
        ((A, "--profile", "generic", "--metric-names", "v1"), "belong to the mteb profile"),
        (("org/b",), "did you mean org/a"),
        ((f"{A}@ffff",), "revisions there: r1"),
        ((f"{A}+fp16",), "variants there"),
        ((A, "--protocol", "jmteb"), "error: org/a has results by mteb, but none under protocol jmteb"),
    ],
)
def test_wrong_input(card: Call, path: Path, arguments: tuple[str, ...], message: str) -> None:
    said = card(*arguments)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert path.read_text(encoding="utf-8") == CARD


def test_several_protocols(card: Call, tmp_path: Path) -> None:
    store = Store(tmp_path / "r")
    for protocol in ("jmteb", "sbert"):
        store.put(result("org/c", "STSB", 0.5, kind="reranking", protocol=protocol))
    said = card("org/c")
    assert said.code == 2
    assert "several protocols: jmteb, sbert; name one with --protocol" in said.err
    assert "cross-encoder-reranking" in card("org/c", "--protocol", "sbert").out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_push(card: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    said = card(A, "--push", "org/a")
    assert (said.code, "set HF_TOKEN" in said.err) == (2, True)
    hub = FakeHub(tmp_path, {"README.md": CARD.encode()})
    monkeypatch.setattr("harness.report.card.push.hub_api", lambda: hub)

    def calls() -> list[str]:
        return [name for name, _ in hub.calls]

    said = card(A, "--push", "org/a", "--yes")
    assert said.code == 2  # a conflict
    assert "create_commit" not in calls()
    options = (A, "--push", "org/a", "--on-conflict", "update")
    said = card(*options)
    assert (said.code, "nobody to ask" in said.err) == (2, True)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    said = card(*options)
    assert (said.code, "nothing pushed" in said.err) == (1, True)
    assert "open pull request #3 Add scores (you)" in said.err
    assert "create_commit" not in calls()
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    said = card(*options)
    assert (said.code, said.out) == (0, "https://hub/pr/4\n")
    pushed = hub.committed["README.md"].decode()
    assert pushed.startswith(CARD.replace("30.0", "25.0").removesuffix("---\n"))
    assert hub.calls[-1][1]["create_pr"] is True
    assert "Results of org/a@r1." in hub.calls[-1][1]["commit_description"]
    hub.files["README.md"] = pushed.encode()
    hub.calls.clear()
    said = card(*options, "--yes")
    assert (said.code, "up to date" in said.err, "create_commit" in calls()) == (0, True, False)
    hub.files.clear()
    said = card(A, "--push", "org/a", "--yes", "--direct")
    assert (said.code, said.out) == (0, "https://hub/c/1\n")
    assert hub.committed["README.md"].startswith(b"---\nmodel-index:\n")
    assert hub.calls[-1][1]["create_pr"] is False


def test_push_of_other_formats(card: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = b"- dataset: {id: o/stsb, task_id: x}\r\n  value: 49.5\r\n"
    hub = FakeHub(tmp_path, {"README.md": CARD.encode(), ".eval_results/o__stsb.x.yaml": old})
    monkeypatch.setattr("harness.report.card.push.hub_api", lambda: hub)
    table = tmp_path / "map.yaml"
    table.write_text(
        "benchmarks:\n- {task: STSB, dataset: o/stsb, task_id: x, scale: 100}\n"
        "- {task: Mine, dataset: o/mine, task_id: y, scale: 1}\n",
        encoding="utf-8",
    )
    options = ("--format", "eval-results", "--benchmark-map", table, "--on-conflict", "update", "--yes")
    said = card(A, "--push", "org/a", *options)
    assert (said.code, said.out) == (0, "https://hub/pr/4\n"), said.err
    assert hub.committed[".eval_results/o__stsb.x.yaml"] == old.replace(b"49.5", b"50.0")
    assert hub.committed.keys() == {".eval_results/o__stsb.x.yaml", ".eval_results/o__mine.y.yaml"}
    said = card(A, "--push", "org/a", "--format", "table", "--yes")
    assert (said.code, "README.md has no place for the table" in said.err) == (2, True)
