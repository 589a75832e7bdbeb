"""The benchmarks' own arithmetic, tables and inputs; nothing here measures a time."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import checkpoints, contest, gate_errors, gpu, growth, inputs, leaderboard, table
from benchmarks.__main__ import QUICK, chosen, main, parser, planned
from benchmarks.forward import operations
from benchmarks.process import BenchError, run
from benchmarks.rows import LEFT_OUT, NAMES
from benchmarks.synthetic import synthetic
from benchmarks.table import Row

MIB = 2**20


def test_medians_and_ratios() -> None:
    assert table.ratio(Row("a", [2.0, 9.0, 4.0], [8.0, 8.0, 1.0])) == 2.0
    assert table.ratio(Row("a", [6.0], [4.0], better="more")) == 1.5
    assert table.ratio(Row("a", [1.0], [])) is None
    assert table.spread([3.0, 1.0, 2.0], "s") == "2 s (1 to 3)"
    assert table.spread([123.4], "s") == "123 s"
    assert table.spread([], "s") == "–"
    assert table.number(0.012345) == "0.0123"
    assert table.number(5183.2) == "5183"
    assert table.memory([MIB, 2000 * MIB]) == "2,000"


def test_scores_of_two_sides() -> None:
    assert table.apart({"a": 0.5, "b": 0.25}, {"a": 0.5, "b": 0.5}) == 0.25
    assert table.apart({}, {}) is None
    with pytest.raises(ValueError, match="'b'"):
        table.apart({"a": 0.5}, {"a": 0.5, "b": 0.5})


def test_the_document_shows_all_of_a_row() -> None:
    first = Row(
        "one | two", [2.0, 4.0, 3.0], [9.0, 9.0, 9.0], target="2x", scores={"T test/default": 0.64508},
        peer_scores={"T test/default": 0.64518}, memory=[3 * MIB], peer_memory=[5 * MIB], notes=["said"],
    )  # fmt: skip
    share = Row("forward", [65.0], [100.0, 100.0], unit="GFLOP/s", better="share")
    text = table.document([first, share], "Title", "machine", [("More", "| a |\n")])
    lines = text.splitlines()
    assert lines[0] == "# Title"
    expected = r"| one \| two | 3 s (2 to 4) | 9 s (9 to 9) | 3.00x | 2x | 1.0e-04 | 3 / 5 MiB | 3 |"
    assert expected in lines
    assert "| forward | 65 GFLOP/s | 100 GFLOP/s (100 to 100) | 65 % | – | – | – / – MiB | 1 |" in lines
    assert "- one | two: said" in lines
    assert r"| one \| two | T test/default | 64.5080 | 64.5180 |" in lines
    assert text.endswith("## More\n\n| a |\n")
    figures = json.loads(json.dumps(table.raw([first, share])))
    assert figures[0]["ours"] == [2.0, 4.0, 3.0]
    assert figures[0]["ratio"] == 3.0
    assert figures[0]["difference"] == pytest.approx(1e-4)


def test_operations_of_an_encoder() -> None:
    # One layer, H = 2, I = 8, texts of 3 and 1 tokens: 2 * 4 * (16 + 32) and 4 * (9 + 1) * 2.
    assert operations([3, 1], layers=1, hidden=2, intermediate=8) == 384 + 80
    assert operations([3, 1], layers=6, hidden=2, intermediate=8) == 6 * (384 + 80)
    assert operations([], layers=6, hidden=384, intermediate=1536) == 0


def test_time_a_document_without_start_up() -> None:
    seconds = {0: [2.0, 3.0, 2.0], 1: [3.92], 8: [17.92, 18.0]}
    found = growth.per_document(seconds, 100)
    assert found[1] == [pytest.approx(1000 * 1.92 / 92)]
    assert found[8][0] == pytest.approx(1000 * 15.92 / 792)


def test_copies_are_distinct_and_as_long() -> None:
    text = "one two three four"
    turned = [inputs.turned(text, copy) for copy in range(4)]
    assert len(set(turned)) == 4
    assert turned[0] == text
    assert {" ".join(sorted(t.split())) for t in turned} == {"four one three two"}
    assert inputs.turned("", 3) == ""


def test_grown_corpus(tmp_path: Path) -> None:
    folder = inputs.grown_corpus(["a b c d e", "f g h i j"], ["q", "r", "s"], 4, tmp_path / "Growth")
    corpus = inputs.read_rows(folder / "test.corpus.jsonl")
    assert len(corpus) == len({row["text"] for row in corpus}) == len({row["id"] for row in corpus}) == 8
    judged = {row["corpus_id"] for row in inputs.read_rows(folder / "test.qrels.jsonl")}
    assert judged <= {row["id"] for row in corpus}


def test_fewer_queries_keep_what_belongs_to_them(tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(400)]
    whole = synthetic(words, tmp_path / "whole", scale=0.05) / "SciFactReranking"
    part = inputs.fewer_queries(whole, tmp_path / "part", 2)
    assert inputs.read_manifest(part)["main"] == "map_at_1000"
    queries = {row["id"] for row in inputs.read_rows(part / "test.queries.jsonl")}
    lists = inputs.read_rows(part / "test.candidates.jsonl")
    corpus = {row["id"] for row in inputs.read_rows(part / "test.corpus.jsonl")}
    assert queries == {row["query_id"] for row in lists} == {"q0", "q1"}
    assert corpus == {doc for row in lists for doc in row["corpus_ids"]}
    assert all(row["query_id"] in queries for row in inputs.read_rows(part / "test.qrels.jsonl"))


def test_synthetic_tasks_are_the_same_every_time_and_load(tmp_path: Path) -> None:
    from harness.suite import load_task

    words = [f"w{i}" for i in range(400)]
    one, two = (synthetic(words, tmp_path / name, scale=0.02) for name in ("one", "two"))
    files = sorted(path.relative_to(one) for path in one.rglob("*.*"))
    assert len({path.parent.name for path in files}) == len(inputs.SIX)
    assert all((one / path).read_bytes() == (two / path).read_bytes() for path in files)
    suite = load_task(*inputs.SIX, data=[one])
    entries = {task.name: list(task.entries) for task in suite.tasks}
    assert entries["XQuADRetrieval"] == [("validation", "zh")]
    assert entries["JSTS"] == [("validation", "default")]
    assert entries["SciFactReranking"] == [("test", "default")]


def test_a_made_tokenizer_knows_its_words(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    folder = checkpoints.made_tokenizer(tmp_path / "tokenizer", size=500)
    words = checkpoints.vocabulary_words(folder)
    assert len(words) == len(set(words)) == 500
    encoded = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(" ".join(words[:5]))
    assert len(encoded.ids) == 7
    assert encoded.tokens[0] == "[CLS]"
    assert "[UNK]" not in encoded.tokens


def test_a_tree_of_results_is_grown_by_links_and_gone_afterwards(tmp_path: Path) -> None:
    source = leaderboard.synthetic(tmp_path / "made", models=2, tasks=6)
    assert leaderboard.grown(source, tmp_path / "tree", 30) == 30
    found = list((tmp_path / "tree").rglob("*.json"))
    assert len(found) == 30
    assert {path.relative_to(tmp_path / "tree").parts[0] for path in found} == {
        "org__model0", "org__model1", "org__model0-1", "org__model1-1", "org__model0-2",
    }  # fmt: skip
    assert "NaN" in (source / "org__model0" / "main" / "T0.json").read_text()
    assert json.loads((source / "org__model0" / "main" / "T1.json").read_text())["scores"]["test"]
    row = leaderboard.line(9150, "warm", [(1.0, 2.0), (3.0, 6.0), (2.0, 4.0)], "1.5 s")
    assert row == "| 9,150 | warm | 2.00 | 4.00 | 1.5 s |"


def test_turns_keep_the_warm_run_behind_its_cold_one() -> None:
    assert contest.in_turn(["float32", "mteb"]) == ["mteb", "float32"]
    assert contest.in_turn(["float32", "warm", "bfloat16", "mteb"]) == ["mteb", "bfloat16", "float32", "warm"]


def test_commands_of_both_sides(tmp_path: Path) -> None:
    setup = contest.Setup("name", Path("/folder"), Path("/data"), tmp_path, 1)
    ours = contest.ours(setup, ["A", "B"], tmp_path, "bfloat16")
    assert ours[:5] == [sys.executable, "-m", "harness", "eval", "name"]
    assert ours[-2:] == ["--dtype", "bfloat16"]
    assert "--force" in contest.ours(setup, ["A"], tmp_path, "warm")
    assert [ours[i + 1] for i, word in enumerate(ours) if word == "--task"] == ["A", "B"]
    assert "--device" not in ours
    assert "/folder" in contest.peer(setup, ["A"], tmp_path)
    assert contest.hidden("cpu") == {"CUDA_VISIBLE_DEVICES": ""}
    assert contest.hidden("cuda") == {}


def test_scores_and_reuse_are_read_from_what_was_written(tmp_path: Path) -> None:
    printed = [{"task": "T", "split": "test", "subset": "zh", "main_score": 0.5}]
    assert contest.scores_of(json.dumps(printed)) == {"T test/zh": 0.5}
    kept = {"texts": 1200, "texts_encoded": 0, "device": "auto"}
    entries = {"test": {"zh": {"provenance": kept}}}
    (tmp_path / "T.json").write_text(json.dumps({"harness": {"entries": entries}}))
    (tmp_path / "model_meta.json").write_text("{}")
    assert contest.reuse(tmp_path) == "0 of 1,200 texts encoded, weights not loaded"
    kept |= {"texts_encoded": 3, "device": "cpu"}
    (tmp_path / "T.json").write_text(json.dumps({"harness": {"entries": entries}}))
    with pytest.raises(BenchError, match="encoded 3 of 1,200"):
        contest.reuse(tmp_path)


def test_rows_are_chosen_by_name() -> None:
    assert chosen("warm,eval-cold", "cpu", False) == ["eval-cold", "warm"]
    assert chosen(None, "cpu", False) == [name for name in NAMES if name not in LEFT_OUT]
    assert chosen(None, "cpu", True) == list(QUICK)
    assert set(QUICK) <= set(NAMES)
    assert chosen(None, "gpu", False) == list(gpu.NAMES)
    for wrong in ("foo", ","):
        with pytest.raises(BenchError, match="eval-cold"):
            chosen(wrong, "cpu", False)
    with pytest.raises(BenchError, match="growth"):
        chosen("growth", "gpu", False)


def test_arguments_make_a_plan() -> None:
    quick = planned(parser().parse_args(["--quick"]), ["rerank"])
    whole = planned(parser().parse_args([]), ["rerank"])
    asked = planned(parser().parse_args(["--runs", "5", "--queries", "7"]), ["rerank"])
    assert (quick.runs_of("rerank"), whole.runs_of("rerank"), asked.runs_of("forward")) == (1, 3, 5)
    assert whole.runs_of("forward") == 1
    assert (quick.tasks, whole.tasks) == (inputs.SMALL, inputs.SIX)
    assert asked.queries == 7
    with pytest.raises(SystemExit):
        parser().parse_args(["--runs", "0"])


def test_what_is_missing_is_said_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("HARNESS_SHARED", str(tmp_path))
    with pytest.raises(BenchError, match="HARNESS_SHARED"):
        inputs.shared_data()
    assert main(["--only", "nothing"]) == 2
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["gpu"]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "no row nothing" in err
    assert "no CUDA device" in err


def test_a_process_is_measured_whole() -> None:
    code = "import time; held = b'x' * (64 << 20); print('said'); time.sleep(0.2)"
    done = run([sys.executable, "-c", code])
    assert done.stdout == "said\n"
    assert done.seconds > 0.2
    assert done.memory > 60 * MIB
    with pytest.raises(BenchError, match=r"exit 3.*\nwhy"):
        run([sys.executable, "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)"])


def test_synthetic_models_have_no_true_difference_unless_one_is_asked_for() -> None:
    import numpy as np

    for sort in gate_errors.SORTS:
        random = np.random.default_rng(1)
        shifts, drops = gate_errors.true_drops(sort, random, 6)
        assert (drops[0], len(shifts)) == (0.0, gate_errors.GRID)
        assert drops[-1] > 8
        pairs = [sort.draw(random, 0.0) for _ in range(16)]
        differences = np.array([sort.value(new) - sort.value(old) for old, new in pairs])
        assert abs(differences.mean()) < 5 * differences.std() / np.sqrt(len(pairs))


def test_a_synthetic_check_is_what_the_gate_makes_of_it() -> None:
    import numpy as np

    one = gate_errors.check(gate_errors.SORTS[0], np.random.default_rng(0), 0.6, 0)
    assert gate_errors.fired([one]) == [True]
    assert (one.allowed, gate_errors.tolerant(one).allowed) == (0.0, 0.5)
    assert gate_errors.untested(one).entries is None
