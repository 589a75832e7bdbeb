"""Without the network: nothing is asked of it, and everything that is missing is said at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import network
from harness.data import presence
from harness.data.presence import absent, check, in_cache, lacking
from harness.errors import DataError, together
from harness.plan import plan_run
from harness.run import evaluate
from harness.suite import Suite, load_task
from tests.toys import Toy, retrieval_files, sts_rows, write_task

ROOT = Path(__file__).parent.parent
COMMIT = "0123456789abcdef0123456789abcdef01234567"

# A process in which any socket is an error that nothing swallows, but for the one by which urllib3, when it
# is imported, sees whether this machine has IPv6: it is bound to ::1 and never connected.
DEAF = """
import os, socket, sys
def refuse(*_, **__):
    print("a socket was opened", file=sys.__stderr__, flush=True)
    os._exit(99)
for name in ("create_connection", "getaddrinfo", "gethostbyname"):
    setattr(socket, name, refuse)
class Socket(socket.socket):
    connect = connect_ex = sendto = refuse
    def __init__(self, family=-1, *more, **how):
        asker = sys._getframe(1).f_code.co_name
        if family in (-1, socket.AF_INET, socket.AF_INET6) and asker != "_has_ipv6":
            refuse()
        super().__init__(family, *more, **how)
socket.socket = Socket
sys.argv = ["harness", *sys.argv[1:]]
from harness.cli import main
main()
"""
SWITCHES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")


def deaf(cwd: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line where no socket can be opened and no environment variable forbids it."""
    env = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    env |= {"PYTHONPATH": str(ROOT), "HF_HOME": str(cwd / "hf"), **environment}
    command = [sys.executable, "-c", DEAF, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, check=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = write_task(tmp_path / "data", "One", "sts", "cosine_spearman", test=sts_rows())
    return write_task(root, "Find", "retrieval", "ndcg_at_10", **retrieval_files())


def test_the_deaf_process_would_notice(tmp_path: Path) -> None:
    answer = deaf(tmp_path, "eval", "bm25", "--task", "SciFact")
    assert (answer.returncode, "a socket was opened" in answer.stderr) == (99, True)


def test_what_is_prefetched_is_scored_without_a_socket(tmp_path: Path, data: Path) -> None:
    own = {"HARNESS_CACHE": str(tmp_path / "cache")}  # mteb's table is read anew
    options = ("--offline", "--json", "--data")
    answer = deaf(tmp_path, "prefetch", "--task", "SmokeSTS", "char-ngram", *options, data, **own)
    assert answer.returncode == 0, answer.stderr
    assert [row["state"] for row in json.loads(answer.stdout)["tasks"]] == ["written"]
    answer = deaf(
        tmp_path, "eval", "char-ngram", "--task", "SmokeSTS", "--task", "One", *options, data, **own
    )
    assert answer.returncode == 0, answer.stderr
    assert [row["task"] for row in json.loads(answer.stdout)] == ["SmokeSTS", "One"]


def test_everything_that_is_missing_is_said_at_once(tmp_path: Path, data: Path) -> None:
    answer = deaf(
        tmp_path, "eval", "intfloat/multilingual-e5-small", "--data", data, "--offline",
        "--task", "SciFact", "--task", "One", "--task", "JSTS",
    )  # fmt: skip
    assert answer.returncode == 2, answer.stderr
    text = answer.stderr
    assert "SciFact (mteb/scifact @ " in text
    assert "JSTS (mteb/JSTS @ 5bac629e2579)" in text
    assert "multilingual-e5-small at " in text
    assert "--weights" in text
    command = (
        "harness prefetch --task SciFact --task One --task JSTS intfloat/multilingual-e5-small --data DIR"
    )
    assert command in text
    assert "One (" not in text
    assert not answer.stdout


def test_prefetch_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    arguments = ("--task", "SciFact", "--task", "JSTS", "--task", "SmokeSTS")
    answer = deaf(tmp_path, "prefetch", *arguments, "ruri-v3-30m", "--data", "d", "--offline")
    assert answer.returncode == 2, answer.stderr
    for word in ("SciFact", "JSTS", "ruri-v3-30m at ", "harness prefetch --task SciFact"):
        assert word in answer.stderr
    assert not (tmp_path / "d").exists()


def remote(*names: str) -> Suite:
    return load_task(*names)


def test_nothing_is_loaded_for_a_run_that_lacks_data(tmp_path: Path, data: Path) -> None:
    suite = load_task("SciFact", "One", "JSTS", data=[data])
    model = Toy()
    said: list[Any] = []
    with pytest.raises(
        DataError, match=r"SciFact \(mteb/scifact @ .*JSTS \(.*\n.*harness prefetch --task SciFact"
    ):
        list(evaluate(model, suite, cache=tmp_path, listen=said.append))
    with pytest.raises(DataError, match=r"SciFact .*JSTS"):
        plan_run(model, suite, cache=tmp_path)
    assert not model.encoded
    (result,) = evaluate(model, suite, cache=tmp_path, keep_going=True, listen=said.append)
    assert result.task == "One"
    failed = {event.task: event.text for event in said if event.what == "failed"}
    assert set(failed) == {"SciFact", "JSTS"}
    assert "JSTS (" not in failed["SciFact"]


def test_many_missing_tasks_stay_a_few_lines(data: Path) -> None:
    tasks = remote(
        "SciFact", "JSTS", "ArguAna", "NFCorpus", "FiQA2018", "STS12", "STS13", "STS14", "STS15"
    ).tasks
    error = lacking(tasks, True, "harness prefetch X --data DIR")
    assert len(str(error).splitlines()) == 2
    assert "data of 9 tasks: SciFact, JSTS, ArguAna, NFCorpus, FiQA2018, STS12, STS13, STS14 and 1" in str(
        error
    )
    assert "harness prefetch X --data DIR" in str(error)
    assert [line.split()[0] for line in error.more] == [task.name for task in tasks]
    assert together([DataError("other"), error]).more == error.more
    assert lacking(tasks[:8], True, "").more == ()


@pytest.mark.parametrize("offline", [True, False])
def test_the_hub_is_asked_once_and_only_for_what_is_its(
    monkeypatch: pytest.MonkeyPatch, data: Path, offline: bool
) -> None:
    asked = []
    monkeypatch.setattr(
        presence, "why_offline", lambda flag: asked.append(flag) or ("" if not offline else "no")
    )
    local = load_task("One", "Find", data=[data]).tasks
    assert check(local, False) == (False, [])
    assert not asked
    both = remote("SciFact", "JSTS").tasks
    assert check(both, False) == (offline, list(both) if offline else [])
    assert asked == [False]


def test_an_unreachable_hub_is_asked_shortly_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    calls: list[tuple[str, float]] = []

    class Session:
        def head(self, url: str, timeout: float) -> None:
            calls.append((url, timeout))
            raise ConnectionRefusedError("nobody there")

    for name in SWITCHES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    monkeypatch.setattr(network, "monotonic", lambda: 1e9)
    network._silence.cache_clear()
    assert "nobody there" in network.why_offline(False)
    assert "nobody there" in network.why_offline(False)
    assert len(calls) == 1
    assert calls[0][1] <= 5
    assert network.why_offline(True) == "this run is offline"
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    assert network.why_offline(False) == "this run is offline (HF_DATASETS_OFFLINE)"
    network._silence.cache_clear()


def test_libraries_are_cut_off_for_a_while() -> None:
    import datasets
    import huggingface_hub.constants as constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    try:
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = False
        with network.cut_off(False):
            assert not constants.HF_HUB_OFFLINE
        with network.cut_off(True):
            assert constants.HF_HUB_OFFLINE
            assert datasets.config.HF_HUB_OFFLINE
        assert not constants.HF_HUB_OFFLINE
        assert not datasets.config.HF_HUB_OFFLINE
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def test_the_cache_that_is_looked_into_is_the_one_that_is_loaded_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))
    assert not in_cache("org/MyData-x", COMMIT)
    place = tmp_path / "org___my_data-x" / "default" / "0.0.0" / COMMIT
    place.mkdir(parents=True)
    writer = datasets.arrow_writer.ArrowWriter(path=str(place / "my_data-x-test.arrow"))
    writer.write({"sentence1": "a"})
    count, size = writer.finalize()
    info = datasets.DatasetInfo(
        features=datasets.Features({"sentence1": datasets.Value("string")}),
        splits=datasets.splits.SplitDict(test=datasets.SplitInfo("test", size, count, None, "my_data-x")),
        dataset_name="my_data-x", config_name="default", version="0.0.0", builder_name="parquet",
    )  # fmt: skip
    info.write_to_directory(str(place))
    with network.cut_off(True):
        found = datasets.load_dataset("org/MyData-x", revision=COMMIT)
    assert found["test"]["sentence1"] == ["a"]
    assert in_cache("org/MyData-x", COMMIT)
    assert not in_cache("org/MyData-x", "f" * 40)


def test_tasks_of_which_only_trying_tells(data: Path) -> None:
    (own,) = remote("MrTidyRetrieval").tasks  # mteb loads it by code of its own
    assert own.own_loading
    assert not absent(own)
    (local,) = load_task("One", data=[data]).tasks
    assert not absent(local)
    assert all(absent(task) for task in remote("SciFact", "JSTS").tasks)


def test_only_faults_of_the_network_are_transient() -> None:
    def caused(error: Exception) -> DataError:
        try:
            raise DataError("x") from error
        except DataError as found:
            return found

    class Answered(Exception):
        def __init__(self, status: int) -> None:
            self.response = type("Response", (), {"status_code": status})

    for error in (ConnectionResetError(), TimeoutError(), Answered(503), Answered(429)):
        assert network.transient(caused(error))
    for error in (FileNotFoundError(), ValueError(), Answered(404), Answered(401)):
        assert not network.transient(caused(error))
