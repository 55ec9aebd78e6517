"""An open batch that the converter took for 1 although it grows inside: refused, and put right by `hil model fix`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dilated_models import dilated_model, distributed_model
from model_edit import read_model, write_model
from tflite_builder import ModelBuilder

from hil.cli import main
from hil.errors import CaseError
from hil.model.check import check_model, faults_of
from hil.model.cures import cured
from hil.model.graph import read_graph

FILE = Path("folder/model.tflite")
RANDOM = np.random.default_rng(3)


def shapes(data: bytes) -> dict[str, tuple[int, ...]]:
    return {tensor.name: tensor.shape for tensor in read_graph(data, FILE).tensors}


def test_the_refusal_names_the_command_and_its_copy_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a model.tflite"
    file.write_bytes(dilated_model(RANDOM, (12, 8, 2), (3, 2), (2, 3), 5))
    with pytest.raises(CaseError, match="as if there were no blocks") as caught:
        check_model(file.read_bytes(), file)
    assert f"hil model fix '{file}'" in caught.value.fix
    assert main(["model", "fix", str(file)]) == 0
    assert "tensor 3 [1, 4, 4, 2] is [6, 4, 4, 2]" in capsys.readouterr().out
    copy = (tmp_path / "a model.fixed.tflite").read_bytes()
    check_model(copy, file)
    changed = {"SpaceToBatchND": (6, 4, 4, 2), "convolution": (6, 3, 2, 5)}
    assert shapes(copy) == shapes(file.read_bytes()) | changed
    assert read_model(copy).buffers[-1].data.tolist() == read_model(file.read_bytes()).buffers[-1].data.tolist()


def test_steps_that_become_batches_are_put_right_too() -> None:
    data = distributed_model(7, 5, 3)
    assert all("hil model fix" in fault.fix for fault in faults_of(data, FILE))
    copy, said = cured(data, FILE)
    check_model(copy, FILE)
    assert shapes(copy) == shapes(data) | {"rows": (7, 5), "dense": (7, 3)}
    assert len(said) == 1


def test_the_padding_of_a_dilated_layer_becomes_an_operator_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What Keras 2.21 writes for padding="same" with an open batch."""
    data = dilated_model(RANDOM, (13, 2), (2,), (3,), 4, around=[(2, 3)])
    file = tmp_path / "same.tflite"
    file.write_bytes(data)
    pads = [fault for fault in faults_of(data, file) if "it pads" in fault.problem]
    assert [fault.fix for fault in pads] == [f"write it anew, with a PAD before it: hil model fix {file}"]
    assert main(["model", "fix", str(file)]) == 0
    assert "a PAD of its own before operator 0 SPACE_TO_BATCH_ND" in capsys.readouterr().out
    copy = (tmp_path / "same.fixed.tflite").read_bytes()
    check_model(copy, file)
    graph = read_graph(copy, file)
    assert [operator.name for operator in graph.operators[:2]] == ["PAD", "SPACE_TO_BATCH_ND"]
    padded = graph.tensors[graph.operators[0].outputs[0]]
    assert (padded.shape, padded.signature, padded.scales) == ((1, 18, 2), (-1, 18, 2), graph.tensors[0].scales)
    assert graph.tensors[graph.operators[0].inputs[1]].values == (0, 0, 2, 3, 0, 0)
    assert graph.tensors[graph.operators[1].inputs[2]].zeros


def test_a_padding_that_is_only_known_when_the_model_runs_is_refused_with_another_way() -> None:
    model = read_model(dilated_model(RANDOM, (13, 2), (2,), (3,), 4, around=[(2, 3)]))
    (paddings,) = (tensor for tensor in model.subgraphs[0].tensors if tensor.name == b"paddings")
    paddings.buffer = 0
    data = write_model(model)
    (pads,) = (fault for fault in faults_of(data, FILE) if "it pads" in fault.problem)
    assert pads.fix.startswith("pad before the layer")


def test_a_closed_batch_is_no_case_for_it() -> None:
    """Whoever wrote such shapes did not mean a batch of -1: nothing is guessed."""
    model = read_model(dilated_model(RANDOM, (6, 2), (2,), (2,), 3))
    for tensor in model.subgraphs[0].tensors:
        tensor.shapeSignature = None
    data = write_model(model)
    assert cured(data, FILE) == (data, ())
    assert {"hil model fix" in fault.fix for fault in faults_of(data, FILE)} == {False}


def test_what_litert_cannot_run_is_no_case_for_it_either() -> None:
    m = ModelBuilder()
    x = m.tensor("x", (1, 4), signature=[-1, 4])
    shape = m.tensor("shape", (2,), "INT32", None, data=np.array([-1, 3]))
    y = m.tensor("y", (1, 3), signature=[-1, 3])
    data = m.operator("RESHAPE", [x, shape], [y]).build([x], [y])
    with pytest.raises(CaseError, match=r"LiteRT says: .*num_input_elements") as caught:
        cured(data, FILE)
    assert "batch_shape=(1, ...)" in caught.value.fix
