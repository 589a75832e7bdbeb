"""Tokens counted as the model counts them, and rates that are remembered or guessed, without torch."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.models import rates
from harness.models.base import ModelCard
from harness.models.fake import FakeEncoder
from harness.models.tokenizer import open_tokenizer
from harness.models.tokens import tokenize
from tests.models import tiny

CARD = ModelCard(name="test/toy", fingerprint="toy-1", device="cpu")


@pytest.mark.parametrize("max_length", [None, 7])
def test_tokens_of_texts_are_those_that_the_model_sees(
    bi: Path, tmp_path: Path, max_length: int | None
) -> None:
    model = tiny.load(bi, tmp_path, max_length=max_length)
    count = rates.counter(model)
    assert count is not None
    ids = tokenize(open_tokenizer(bi), tiny.TEXTS, None, model.card.max_length)
    assert count(tiny.TEXTS, None).tolist() == ids.lengths.tolist()
    assert max(count(tiny.TEXTS, None)) == model.card.max_length


def test_tokens_of_pairs_are_those_that_the_model_sees(cross: Path, tmp_path: Path) -> None:
    model = tiny.load(cross, tmp_path)
    count = rates.counter(model)
    assert count is not None
    right = tiny.TEXTS[::-1]
    ids = tokenize(open_tokenizer(cross), tiny.TEXTS, right, model.card.max_length)
    assert count(tiny.TEXTS, right).tolist() == ids.lengths.tolist()


def test_lower_casing_is_counted(bi: Path, tmp_path: Path) -> None:
    folder = tiny.copied(bi, tmp_path / "folded")
    tiny.change(folder / "sentence_bert_config.json", do_lower_case=True)
    path = folder / "tokenizer.json"
    cased, changed = re.subn(r'"lowercase": ?true', '"lowercase":false', path.read_text(encoding="utf-8"))
    assert changed == 1
    path.write_text(cased, encoding="utf-8")
    folded = rates.counter(tiny.load(folder, tmp_path / "cache"))
    assert folded is not None
    assert folded(["MARS"], None).tolist() == folded(["mars"], None).tolist() == [3]


def test_what_has_no_tokenizer_is_not_counted(plain: Path, tmp_path: Path) -> None:
    assert rates.counter(FakeEncoder()) is None
    folder = tiny.copied(plain, tmp_path / "slow")
    (folder / "tokenizer.json").unlink()
    assert rates.counter(tiny.load(folder, tmp_path / "cache")) is None


def test_a_rate_is_remembered_by_model_and_device(tmp_path: Path) -> None:
    other = ModelCard(name="test/other", fingerprint="other-1", device="auto")
    assert rates.recall(tmp_path, CARD) is None
    rates.remember(tmp_path, CARD, None, 1234.56)
    rates.remember(tmp_path, other, "cuda:0", 9e5)
    rates.remember(tmp_path, other, "cpu", 8e3)
    assert rates.recall(tmp_path, CARD) == pytest.approx(1234.6)
    assert rates.recall(tmp_path, CARD, "cuda") is None
    assert rates.recall(tmp_path, other, "cuda:0") == pytest.approx(9e5)
    assert rates.recall(tmp_path, other) == pytest.approx(8e3), "auto: the latest"
    rates.remember(tmp_path, other, "cuda:0", 7e5)
    assert rates.recall(tmp_path, other) == pytest.approx(7e5)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["rates.json", "rates.lock"]


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_not_kept(tmp_path: Path, rate: float) -> None:
    rates.remember(tmp_path, CARD, "cpu", rate)
    assert not (tmp_path / "models").exists()


def test_a_model_without_fingerprint_is_not_remembered(tmp_path: Path) -> None:
    rates.remember(tmp_path, ModelCard(name="test/toy"), "cpu", 1.0)
    assert not (tmp_path / "models").exists()
    assert rates.recall(tmp_path, ModelCard(name="test/toy")) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"toy-1": 3}', b'{"toy-1": {"cpu": "fast"}}']
)
def test_a_damaged_file_is_ignored_and_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "models" / "rates.json"
    path.parent.mkdir()
    path.write_bytes(content)
    assert rates.recall(tmp_path, CARD) is None
    rates.remember(tmp_path, CARD, "cpu", 10.0)
    assert rates.recall(tmp_path, CARD) == pytest.approx(10.0)


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rates.remember(tmp_path / "file", CARD, "cpu", 10.0)
    assert rates.recall(tmp_path / "file", CARD) is None


def test_writers_lose_nothing(tmp_path: Path) -> None:
    cards = [ModelCard(name="test/toy", fingerprint=f"toy-{i}") for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda card: rates.remember(tmp_path, card, "cpu", 5.0), cards))
    assert [rates.recall(tmp_path, card) for card in cards] == [5.0] * 24


def test_operations_of_known_models() -> None:
    minilm = {"num_hidden_layers": 6, "hidden_size": 384, "intermediate_size": 1536}
    assert rates.operations(minilm, 0) == pytest.approx(2 * 10_616_832), "two for each weight of its layers"
    attention = 6 * 2 * 2 * 384 * 128
    assert rates.operations(minilm, 128) == pytest.approx(2 * 10_616_832 + attention)
    distil = {"n_layers": 6, "dim": 384, "hidden_dim": 1536}
    assert rates.operations(distil, 128) == rates.operations(minilm, 128)
    assert rates.operations({"num_layers": 6, "d_model": 384}, 0) == pytest.approx(2 * 10_616_832)
    assert rates.operations({"hidden_size": 384}, 0) is None


def test_time_is_measured_else_estimated_else_unknown(
    bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "_matrix_rate", lambda: 1e9)
    model = tiny.load(bi, tmp_path)
    assert rates.clock(FakeEncoder(), tmp_path) is None
    found = rates.clock(model, tmp_path)
    assert found is not None
    assert found[1] == "estimated"
    each = rates.operations(tiny.CONFIG, 20)
    assert each is not None
    assert found[0](1000, 50) == pytest.approx(1000 * each / 0.6e9)
    rates.remember(tmp_path, model.card, "cpu", 500)
    found = rates.clock(model, tmp_path)
    assert found is not None
    assert (found[0](1000, 50), found[1]) == (2.0, "measured")


def test_a_gpu_is_faster_than_a_cpu_and_half_precision_faster_yet(
    bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "_matrix_rate", lambda: 1e11)
    times = []
    for options in ({}, {"device": "cuda"}, {"device": "cuda:1", "dtype": "bfloat16"}):
        found = rates.clock(tiny.load(bi, tmp_path, **options), tmp_path)
        assert found is not None
        times.append(found[0](1000, 10))
    assert times[0] > times[1] > times[2]


def test_auto_is_settled_without_torch(bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_matrix_rate", lambda: 1e11)
    monkeypatch.setattr(rates.platform, "system", lambda: "Linux")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    model = tiny.load(bi, tmp_path, device="auto")

    def seconds() -> float:
        found = rates.clock(model, tmp_path)
        assert found is not None
        return found[0](1000, 10)

    (tmp_path / "driver").write_text("")
    monkeypatch.setattr(rates, "_NVIDIA", tmp_path / "nowhere")
    cpu = seconds()
    monkeypatch.setattr(rates, "_NVIDIA", tmp_path / "driver")
    assert seconds() < cpu
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert seconds() == cpu


def test_the_machine_answers_within_a_second() -> None:
    assert 1e8 < rates._matrix_rate() < 1e15


def test_torch_stays_out(bi: Path, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom harness.models import load_model, rates\n"
        f"model = load_model({str(bi)!r}, cache={str(tmp_path)!r}, device='cpu')\n"
        "assert rates.counter(model)(['mars'], None).tolist() == [3]\n"
        "assert rates.clock(model)[0](10, 1) > 0\n"
        "heavy = {'torch', 'transformers', 'mteb', 'scipy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 0, done.stderr
