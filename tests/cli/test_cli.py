"""The command line: answers on stdout, progress on stderr, errors in a few lines, exit codes as promised."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import __version__
from harness.data.mteb_catalog import catalog
from tests.toys import retrieval_files, sts_rows, write_task

ROOT = Path(__file__).parent.parent.parent


class Answer:
    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr


def process(*arguments: object, cwd: Path | None = None, **environment: str) -> Answer:
    """Run the command line in a process of its own, for tests of what only a fresh process shows."""
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return Answer(subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, check=False))


def harness(*arguments: object, cwd: Path | None = None, **environment: str) -> Answer:
    """Run the command line in this process: the same program, without the seconds of a start.

    What the program may change of a process (arguments, streams, folder, environment, logging, warning
    filters) is as before when it ends, so that no test meets what another left.
    """
    from harness.cli import main

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(),
        _logging_kept(),
        _environment_kept(),
    ):
        patch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        if cwd is not None:
            patch.chdir(cwd)
        os.environ.update(environment)
        with pytest.raises(SystemExit) as stopped:
            main()
    code = stopped.value.code
    shown = [stream.buffer.getvalue().decode("utf-8") for stream in (out, err)]
    if isinstance(code, str):  # as Python does at the end of a process
        code, shown[1] = 1, f"{shown[1]}{code}\n"
    return Answer(subprocess.CompletedProcess([], code or 0, *shown))


@contextmanager
def _logging_kept() -> Iterator[None]:
    """Put the root logger's level and handlers back."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Put the environment variables back."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@pytest.fixture
def inside() -> Callable[..., Answer]:
    """`harness`, for tests that replace parts of the program."""
    return harness


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = write_task(
        tmp_path / "data", "One", "sts", "cosine_spearman", test=sts_rows(), test__b=sts_rows(9)
    )
    return write_task(root, "Find", "retrieval", "ndcg_at_10", **retrieval_files())


def stored(task: str, data: Path, tmp_path: Path) -> tuple[object, ...]:
    """Options that score one task of `data` into `r`."""
    return ("--task", task, "--data", data, "--results", tmp_path / "r")


def test_version(inside: Callable[..., Answer]) -> None:
    assert inside("--version").out == f"harness {__version__}\n"


def test_results_in_a_file_are_refused(inside: Callable[..., Answer], data: Path, tmp_path: Path) -> None:
    place = tmp_path / "notes.txt"
    place.write_text("mine")
    found = inside("eval", "fake", "--task", "One", "--data", data, "--results", place)
    assert (found.code, place.read_text()) == (2, "mine")
    assert f"--results {place}: a file stands there" in found.err


def test_the_signal_of_schedulers_is_an_interruption(
    inside: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path
) -> None:
    def ended(*_: object, **__: object) -> Iterator[None]:
        os.kill(os.getpid(), signal.SIGTERM)
        yield

    monkeypatch.setattr("harness.run.evaluate", ended)
    before = signal.getsignal(signal.SIGTERM)
    found = inside("eval", "fake", "--task", "One", "--data", data, "--results", tmp_path / "results")
    assert (found.code, found.out) == (130, "")
    assert "finished work is kept" in found.err
    assert signal.getsignal(signal.SIGTERM) is before


def test_help_and_lists_import_neither_torch_nor_mteb(shared_cache: Path) -> None:
    catalog(shared_cache)  # suites that are benchmarks of mteb are looked up in its table
    script = (
        "import sys\nsys.argv = ['harness', {arguments}]\nfrom harness.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {{'torch', 'mteb', 'transformers', 'sklearn', 'scipy', 'pandas', 'numpy', 'pyarrow'}}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    for arguments in ("'--help'", "'models'", "'eval', '--help'", "'suites', '--json'"):
        allowed = script.format(arguments=arguments)
        if "suites" in arguments:
            allowed = allowed.replace(", 'numpy', 'pyarrow'", "")
        done = subprocess.run(
            [sys.executable, "-c", allowed], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert done.returncode == 0, done.stderr


def test_a_second_call_in_a_process_adds_no_verb_again(inside: Callable[..., Answer]) -> None:
    from harness.cli import app

    for _ in range(2):
        inside("--help")
        names = [command.name or command.callback.__name__ for command in app.registered_commands]
        assert len(names) == len(set(names)), names


def test_a_call_leaves_the_process_as_it_was(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the helper of these tests: the program changes all of this, and the next test must not see it."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)

    def state() -> tuple[object, ...]:
        root = logging.getLogger()
        streams = (sys.stdout, sys.stderr, sys.argv)
        return dict(os.environ), root.level, list(root.handlers), list(warnings.filters), Path.cwd(), streams

    before = state()
    for arguments in (stored("One", data, tmp_path), ("--task", "One", "--data", data, "--dry-run", "-vv")):
        assert harness("eval", "char-ngram", *arguments, cwd=tmp_path, HARNESS_DATA="nowhere").code == 0
        assert state() == before


VERBS = ["", "eval", "models", "tasks", "suites", "show", "leaderboard", "card", "cache", "verify", "doctor"]
VERBS += ["prefetch"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, inside: Callable[..., Answer]) -> None:
    answer = inside(*verb.split(), "--help")
    assert answer.code == 0
    assert "Usage" in answer.out


def test_show_renders_every_prompt_and_names_those_the_checkpoint_stores_otherwise(
    tmp_path: Path, inside: Callable[..., Answer]
) -> None:
    from harness.models.prompts import OTHER_KINDS, RETRIEVAL_KINDS
    from tests.models import tiny

    folder = tiny.bi_encoder(tmp_path / "m", stored={"prompts": {"query": "other: ", "document": "d: "}})
    rows = tmp_path / "rows.yaml"
    rows.write_text(
        f"models:\n  mine:\n    kind: bi-encoder\n    adapter: dense\n    path: {folder}\n"
        "    pooling: cls\n    prompts: {query: 'q: ', document: 'd: ', sts: 's: '}\n"
    )
    facts = json.loads(inside("show", "mine", "--catalog", rows, "--json").out)["model"]
    assert set(facts["rendered"]) == {*RETRIEVAL_KINDS, *OTHER_KINDS}
    for kind in RETRIEVAL_KINDS:
        assert facts["rendered"][kind] == {"query": "q: ...", "document": "d: ..."}
    assert facts["rendered"]["sts"] == {"sentence": "s: ..."}
    assert facts["rendered"]["bitext"] == {"sentence": "..."}
    note = "query prompt: the catalog's 'q: ' is used, the checkpoint stores 'other: '"
    assert facts["notes"] == ["pooling: the checkpoint's 'mean' is used, the catalog says 'cls'", note]
    assert "query: 'q: ...'" in inside("show", "mine", "--catalog", rows).out
    bare = json.loads(inside("show", "char-ngram", "--json").out)["model"]
    assert bare["rendered"]["retrieval"] == {"query": "...", "document": "..."}
    assert "rendered" not in json.loads(inside("show", "bm25", "--json").out)["model"]


def test_quantised_vectors_are_a_run_of_their_own(
    tmp_path: Path, data: Path, inside: Callable[..., Answer]
) -> None:
    from tests.models import tiny

    folder = tiny.bi_encoder(tmp_path / "m")
    places = (*stored("One", data, tmp_path), "--cache", tmp_path / "c", "--json")
    scores = {}
    for quant in ((), ("--quant", "int8"), ("--quant", "int8", "--dim", 8)):
        answer = inside("eval", folder, "--device", "cpu", *quant, *places)
        assert answer.code == 0, answer.err
        found = json.loads(answer.out)[0]
        assert not found["reused"]
        scores[tuple(found["variant"])] = found["main_score"]
    assert set(scores) == {(), ("int8",), ("dim8", "int8")}
    assert json.loads(inside("eval", f"{folder}+int8", "--device", "cpu", *places).out)[0]["reused"]
    refused = inside("eval", "bm25", "--quant", "int8", *places)
    assert refused.code == 2
    assert "takes no quant" in refused.err


def test_eval_answers_on_stdout_and_tells_on_stderr(tmp_path: Path, data: Path) -> None:
    arguments = ("eval", "char-ngram", *stored("One", data, tmp_path))
    first = process(*arguments)
    assert first.code == 0, first.err
    assert "cosine_spearman" in first.out
    assert "[2/2] One" in first.err
    again = process(*arguments, "--json", "--quiet")
    assert again.err == ""
    found = json.loads(again.out)
    assert [(r["task"], r["subset"], r["reused"]) for r in found] == [
        ("One", "default", True),
        ("One", "b", True),
    ]
    only = harness(*arguments, "--subset", "b", "--force", "--json", "-q")
    assert [(r["subset"], r["reused"]) for r in json.loads(only.out)] == [("b", False)]


def test_a_task_of_many_splits_does_not_widen_the_list(shared_cache: Path) -> None:
    listed = harness("tasks", "--cache", shared_cache)
    many = [name for name, info in catalog(shared_cache).items() if len(info.splits) > 6]
    assert many
    assert all(len(line) < 200 for line in listed.out.splitlines())
    (line,) = (line for line in listed.out.splitlines() if line.startswith(f"{many[0]} "))
    assert f" and {len(catalog(shared_cache)[many[0]].splits) - 3} more " in line


def test_a_run_and_its_plan_say_which_task_has_nothing_of_the_subset(tmp_path: Path, data: Path) -> None:
    write_task(data, "Two", "sts", "cosine_spearman", test__zh=sts_rows(8))
    narrowed = ("--task", "One", "--task", "Two", "--subset", "zh", *stored("One", data, tmp_path)[2:])
    for more in (("--dry-run",), ()):
        done = harness("eval", "char-ngram", *narrowed, *more)
        assert (done.code, "skip: One: has no subset zh\n" in done.err) == (0, True), done.err


def test_the_plan_of_a_dry_run(tmp_path: Path, data: Path) -> None:
    arguments = (
        "eval",
        "char-ngram",
        "--task",
        "Find",
        "--data",
        data,
        "--results",
        tmp_path / "r",
        "--dry-run",
    )
    answer = harness(*arguments, HARNESS_CACHE=str(tmp_path / "c"))
    assert answer.code == 0
    assert "12" in answer.out
    assert "queries: 'a question'" in answer.out
    assert not (tmp_path / "r").exists()


def test_two_stages(tmp_path: Path, data: Path, inside: Callable[..., Answer]) -> None:
    places = (*stored("Find", data, tmp_path), "--cache", tmp_path / "c")
    planned = inside("eval", "fake-cross", "--first-stage", "bm25-4", "--dry-run", *places)
    assert "the pairs of Find are estimated" in planned.out, planned.err
    two = inside("eval", "fake-cross", "--first-stage", "fake-4", "--dry-run", *places)
    assert "Find, first stage harness/fake" in two.out, two.err
    listed = inside("eval", "fake-cross", "--first-stage", "fake-4", "--dry-run", "--json", *places)
    assert [(r["model"], r["texts"]) for r in json.loads(listed.out)] == [("harness/fake", 12), ("", 24)]
    first = inside("eval", "fake-cross", "--first-stage", "bm25-4", "--json", *places)
    assert first.code == 0, first.err
    (result,) = json.loads(first.out)
    assert result["variant"] == ["first-bm25-4"]
    # No word of a query stands in a document: the four highest ids of six stand for every query.
    assert result["metrics"]["first_stage_recall_at_4"] == 0.66667
    assert (tmp_path / "r" / "harness__fake-cross").is_dir()
    assert "+first-bm25-4 on" in first.err
    again = inside("eval", "fake-cross+first-bm25-4", "--json", *places)
    assert [r["reused"] for r in json.loads(again.out)] == [True], again.err
    planned = inside("eval", "fake-cross", "--first-stage", "bm25-4", "--dry-run", *places)
    assert "estimated" not in planned.out.replace("a rough guess", "")


def test_jina_weights_from_a_folder(tmp_path: Path, data: Path, inside: Callable[..., Answer]) -> None:
    from tests.models import tiny_jina

    folder = tiny_jina.checkpoint(tmp_path / "zh", hidden=768, heads=12, layers=1, inner=16)
    answer = inside(
        "eval", "jina-v2-base-zh", "--weights", folder, "--task", "One", "--task", "Find", "--data", data,
        "--results", tmp_path / "r", "--cache", tmp_path / "cache", "--offline", "--device", "cpu", "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert {result["task"] for result in found} == {"One", "Find"}
    assert all(-1 <= result["main_score"] <= 1 for result in found)
    assert list((tmp_path / "r" / "jinaai__jina-embeddings-v2-base-zh").rglob("Find.json"))


def test_a_results_folder_that_cannot_be_written(tmp_path: Path, data: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = process("eval", "bm25", "--task", "Find", "--data", data, "--results", tmp_path / "file" / "r")
    assert answer.code == 2
    assert "file" in answer.err
    assert "Traceback" not in answer.err


def test_a_corrupt_result_is_named_set_aside_and_not_fatal(tmp_path: Path, data: Path) -> None:
    arguments = ("--data", data, "--results", tmp_path / "r")
    for task in ("One", "Find"):
        assert harness("eval", "char-ngram", "--task", task, *arguments).code == 0
    (path,) = (tmp_path / "r").rglob("One.json")
    path.write_text(path.read_text()[:100])
    answer = harness("eval", "char-ngram", "--task", "One", "--task", "Find", "--json", *arguments)
    assert answer.code == 0, answer.err
    assert "One.json" in answer.err
    assert [r["reused"] for r in json.loads(answer.out)] == [False, False, True]
    assert list((tmp_path / "r").rglob("One.json.corrupt*"))


def test_keep_going_ends_with_one(tmp_path: Path, data: Path) -> None:
    write_task(data, "Flat", "sts", "cosine_spearman", test=[{**row, "score": 1} for row in sts_rows()])
    answer = harness("eval", "char-ngram", "--task", "Flat", *stored("One", data, tmp_path), "--keep-going")
    assert answer.code == 1
    assert "failed: Flat" in answer.err
    assert "One" in answer.out
    assert list((tmp_path / "r").rglob("Flat.failed.json"))


def test_hash_seed_does_not_move_a_number(tmp_path: Path) -> None:
    files = {}
    for seed in ("1", "2"):
        out = tmp_path / seed
        answer = process(
            "eval",
            "char-ngram",
            "--suite",
            "smoke",
            "--results",
            out,
            "--no-cache",
            "-q",
            "--json",
            PYTHONHASHSEED=seed,
        )
        assert answer.code == 0, answer.err
        files[seed] = [{k: v for k, v in row.items() if k != "seconds"} for row in json.loads(answer.out)]
    assert files["1"] == files["2"]


def test_v_says_what_an_error_only_counts(inside: Callable[..., Answer], tmp_path: Path) -> None:
    command = ("eval", "char-ngram", "--suite", "mteb-en", "--offline", "--results", tmp_path / "r")
    short, long = inside(*command), inside(*command, "-v")
    assert (short.code, long.code) == (2, 2)
    assert len(short.err.strip().splitlines()) <= 4
    assert "NFCorpus (mteb/nfcorpus @ " not in short.err
    assert "NFCorpus (mteb/nfcorpus @ " in long.err
