"""Token-budget batches: complete, within budget, in a fixed order, and of no influence on a vector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import ModelError
from harness.models import load_model, runtime
from harness.models.batching import Group, Mix, Pace, Queue, padded_widths
from harness.types import Pairs, Texts
from tests.models import tiny


def batches(widths: list[int], budget: int, mix: Mix) -> list[list[int]]:
    """Widths of the batches; every place once, and in each group texts of its width only."""
    queue, found, places = Queue(np.array(widths, dtype=np.int64), mix), [], []
    while batch := queue.batch(budget):
        assert [group.width for group in queue.batch(budget)] == [group.width for group in batch]
        for group in batch:
            assert {widths[place] for place in group.places} == {group.width}
            places += group.places.tolist()
        found.append([group.width for group in batch for _ in group.places])
        queue.remove(batch)
    assert sorted(places) == list(range(len(widths)))
    return found


def test_batches_of_one_width_of_neighbours_and_of_all() -> None:
    widths = [3, 70, 3, 75, 3, 72]
    assert batches(widths, 150, Mix.EQUAL) == [[75], [72], [70], [3, 3, 3]]
    assert batches(widths, 150, Mix.NEIGHBOURS) == [[75, 72], [70, 3], [3, 3]]
    assert batches(widths, 150, Mix.ANY) == [[75, 72, 3], [70, 3, 3]]
    assert batches(widths, 78, Mix.ANY) == [[75, 3], [72, 3, 3], [70]]
    assert batches([], 78, Mix.ANY) == []


@pytest.mark.parametrize("budget", [1, 7, 64, 10_000])
@pytest.mark.parametrize("mix", list(Mix))
def test_every_text_once_and_within_budget(budget: int, mix: Mix) -> None:
    widths = np.random.default_rng(3).integers(1, 300, size=200).tolist()
    for batch in batches(widths, budget, mix):
        cost = batch[0] * len(batch) if mix is Mix.NEIGHBOURS else sum(batch)
        assert len(batch) == 1 or cost <= budget
        assert batch == sorted(batch, reverse=True)
        assert mix is not Mix.EQUAL or len(set(batch)) == 1


def test_packing_leaves_little_room() -> None:
    widths = np.random.default_rng(3).integers(5, 300, size=2_000).tolist()
    found = batches(widths, 4096, Mix.ANY)
    assert all(sum(batch) > 0.99 * 4096 for batch in found[:-1])


def test_widths() -> None:
    assert padded_widths([0, 1, 5, 48, 64, 65, 250]).tolist() == [1, 1, 5, 48, 64, 72, 256]


def test_the_pace_takes_the_fastest_budget() -> None:
    pace = Pace([10, 20, 40])
    asked = []
    while not pace.settled:
        asked.append(pace.budget)
        pace.took(3, 1e-9)  # a remainder tells nothing
        pace.took(pace.budget, {10: 0.1, 20: 0.15, 40: 0.35}[pace.budget])
    assert asked == [10] * 3 + [20] * 3 + [40] * 3
    assert pace.budget == 20


def test_the_pace_stops_at_slow_batches_and_at_small_gains() -> None:
    slow = Pace([10, 20])
    slow.took(10, 1.5)
    assert (slow.settled, slow.budget) == (True, 10)
    alike = Pace([10, 20])
    for _ in range(6):
        alike.took(alike.budget, alike.budget * (0.01 if alike.budget == 10 else 0.0099))
    assert (alike.settled, alike.budget) == (True, 10)
    assert Pace([100]).settled
    assert Pace([10, 20]).halve() == 5


@pytest.mark.parametrize("name", ["bi", "minilm"])
def test_a_vector_does_not_depend_on_what_is_encoded_beside_it(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(name)
    texts = [f"{'the red planet mars is big ' * (i % 9)}{i}" for i in range(60)]
    whole = load_model(str(folder), cache=tmp_path, device="cpu").encode(Texts(texts))
    for budget in (64, 4096):
        model = load_model(str(folder), cache=tmp_path, device="cpu", batch_tokens=budget)
        np.testing.assert_array_equal(model.encode(Texts(texts[::-1])), whole[::-1])
        np.testing.assert_array_equal(model.encode(Texts(texts[7:9])), whole[7:9])
        np.testing.assert_array_equal(model.encode(Texts([texts[30]])), whole[[30]])


def test_a_pair_score_moves_by_float_noise_at_most(cross: Path, tmp_path: Path) -> None:
    model = load_model(str(cross), cache=tmp_path, device="cpu")
    left = [f"{'the red planet ' * (i % 5)}{i}" for i in range(40)]
    whole = model.score(Pairs(left, left[::-1]))
    np.testing.assert_allclose(model.score(Pairs(left[:3], left[::-1][:3])), whole[:3], atol=1e-6)


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory. Tried"), MemoryError()])
def test_out_of_memory_halves_the_batch_once_and_for_all(
    bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    texts = Texts([f"the red planet number {i}" for i in range(64)])
    whole = load_model(str(bi), cache=tmp_path, device="cpu").encode(texts)
    model = load_model(str(bi), cache=tmp_path, device="cpu", batch_tokens=512)
    sizes: list[int] = []
    forward = runtime._forward

    def small_memory(own: object, tokens: object, batch: list[Group], answer: object) -> object:
        sizes.append(sum(len(group.places) * group.width for group in batch))
        if sizes[-1] > 100:
            raise error
        return forward(own, tokens, batch, answer)

    monkeypatch.setattr(runtime, "_forward", small_memory)
    said: list[str] = []
    found = model.answer(model.prepare([texts]), np.arange(64), said.append)
    np.testing.assert_array_equal(found, whole)
    assert said == ["out of memory with 512 tokens a batch: going on with smaller ones, same scores"]
    refused = sum(size > 100 for size in sizes)
    model.encode(texts)
    assert refused == sum(size > 100 for size in sizes)


def test_a_text_that_no_memory_holds_and_errors_of_other_kinds(
    bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> object:
        raise problem

    monkeypatch.setattr(runtime, "_forward", fails)
    problem: Exception = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
    with pytest.raises(ModelError, match=r"one text of \d+ tokens does not fit"):
        load_model(str(bi), cache=tmp_path, device="cpu").encode(Texts(["the red planet"]))
    problem = RuntimeError("something else")
    with pytest.raises(RuntimeError, match="something else"):
        load_model(str(bi), cache=tmp_path, device="cpu").encode(Texts(["the red planet"]))


def test_no_budget_below_what_half_precision_needs(
    bi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from harness.models.fused import fusable

    if not fusable({"model_type": "bert"}, torch.bfloat16):
        pytest.skip("this processor has no kernels for bfloat16")
    model = load_model(str(bi), cache=tmp_path, device="cpu", dtype="bfloat16", batch_tokens=100)
    tried: list[int] = []

    def fails(own: Any, *_: object) -> object:
        tried.append(own.pace.budget)
        raise MemoryError

    monkeypatch.setattr(runtime, "_forward", fails)
    with pytest.raises(ModelError, match=r"a batch of 4096 tokens does not fit.*\n.*float32"):
        model.encode(Texts(["the red planet", "mars"]))
    assert tried == [4096]


def test_texts_without_tokens_and_without_characters(bi: Path, tmp_path: Path) -> None:
    """A tokenizer may add no special tokens; half of a surrogate pair is nothing to tokenise."""
    folder = tiny.copied(bi, tmp_path / "bare")
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tiny.put(folder / "tokenizer.json", {**content, "post_processor": None})
    tiny.change(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    model = tiny.load(folder, tmp_path)
    beside = model.encode(Texts(["the red planet", "", "mars"]))
    np.testing.assert_array_equal(model.encode(Texts(["sun", ""]))[1], beside[1])
    np.testing.assert_array_equal(model.encode(Texts(["", ""])), beside[[1, 1]])
    np.testing.assert_array_equal(beside[1], 0)
    with pytest.raises(ModelError, match="half of a surrogate pair at character 1"):
        model.encode(Texts(["mars", "a\ud800"]))
