"""Models that the firmware's TFLM cannot run right are refused with operator or tensor and cure; those it runs pass."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import model_edit
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_builder import ModelBuilder, dense_model, float_model

from hil.errors import CaseError
from hil.model.check import check_float_model, check_model, own_operators
from hil.model.graph import TENSOR_TYPES, read_graph
from hil.model.kernels.tflm_2020 import TFLM_2020
from hil.model.tflite import parse_model, read_model
from hil.tensor import Quantisation

FILE = Path("folder/model.tflite")
REAL = Path(__file__).parents[3] / "shared/data/mlperf_tiny/models"
KERAS = Path(__file__).parents[3] / "shared/data/keras_2_21"  # as today's Keras and TensorFlow write them
PUBLIC = KERAS.with_name("public_models")


def real(name: str, folder: Path = REAL) -> Path:
    path = folder / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"the model {name} of {folder.name} is not on this machine")
    return path


def refused(call: Callable[[], object]) -> CaseError:
    with pytest.raises(CaseError) as caught:
        call()
    return caught.value


def chain(name: str, *, output: dict[str, object] | None = None, **tensors: object) -> bytes:
    """One operator of one int8 input and one output."""
    m = ModelBuilder()
    x = m.tensor("x", (1, 4, 4, 2), **tensors)
    y = m.tensor("y", (1, 4, 4, 2), **(output or {}))
    return m.operator(name, [x], [y]).build([x], [y])


# ---- reading


def test_a_model_is_read_with_its_tensor_contracts() -> None:
    model = parse_model(dense_model(inputs=6, outputs=3, input_scale=0.3), FILE)
    assert model.operators == ("FULLY_CONNECTED",)
    assert (model.input.dtype, model.input.shape, model.input.bytes) == ("INT8", (1, 6), 6)
    assert model.input.quantisation == Quantisation(float(np.float32(0.3)), 3)
    assert model.output.quantisation == Quantisation(1 / 256, -128)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"PK\x03\x04 zip", bytes(64), b"\x7fELF" + bytes(60)])
def test_what_is_no_flatbuffer_is_refused(data: bytes) -> None:
    error = refused(lambda: read_graph(data, FILE))
    assert "no TFLite model" in error.problem
    assert error.file == FILE
    assert ".tflite" in error.fix


def test_a_git_lfs_pointer_is_called_by_its_name() -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    assert "git lfs pull" in refused(lambda: read_graph(pointer, FILE)).fix


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(lambda: read_model(tmp_path / "none.tflite")).problem


@given(st.integers(8, len(dense_model()) - 17))
def test_a_model_that_is_cut_short_is_refused(size: int) -> None:
    error = refused(lambda: read_graph(dense_model()[:size], FILE))
    assert "damaged or cut short" in error.problem


@given(st.lists(st.tuples(st.integers(0, len(dense_model()) - 1), st.integers(0, 255)), max_size=20))
def test_damage_never_ends_in_another_exception(changes: list[tuple[int, int]]) -> None:
    data = bytearray(dense_model())
    for position, value in changes:
        data[position] = value
    with contextlib.suppress(CaseError):
        check_model(bytes(data), FILE)


# ---- real models


@pytest.mark.parametrize(
    "name",
    [
        *("kws_ref_model", "vww_96_int8", "pretrainedResnet_quant", "ad01_int8", "str_ww_ref_model"),
        *("hello_world_int8", "person_detect", "micro_speech_quantized"),
    ],
)
def test_models_that_run_on_this_tflm_pass(name: str) -> None:
    check_model(real(name).read_bytes(), real(name))


@pytest.mark.parametrize("name", ["ad01_fp32", "pretrainedResnet", "vww_96_float"])
def test_float_models_pass_as_reference_and_are_refused_as_product(name: str) -> None:
    int8 = {"ad01_fp32": "ad01_int8", "pretrainedResnet": "pretrainedResnet_quant", "vww_96_float": "vww_96_int8"}[name]
    data = real(name).read_bytes()
    check_float_model(data, real(name), read_model(real(int8)))
    error = refused(lambda: check_model(data, real(name)))
    assert "FLOAT32 throughout" in error.problem
    assert "inference_input_type = tf.int8" in error.fix
    assert "all_float = true" in error.fix
    check_model(data, real(name), all_float=True)


def test_the_scrambled_keyword_model_is_refused_for_its_requantisation() -> None:
    path = real("keyword_scrambled")
    text = str(refused(lambda: check_model(path.read_bytes(), path, kernels=TFLM_2020)))
    assert "operator 14 QUANTIZE" in text
    assert "no QUANTIZE of INT16 to INT32" in text


def test_the_hybrid_keyword_model_is_refused_as_product_and_as_reference() -> None:
    path, int8 = real("kws_ref_model_float32"), read_model(real("kws_ref_model"))
    for call in (
        lambda: check_model(path.read_bytes(), path),
        lambda: check_float_model(path.read_bytes(), path, int8),
    ):
        text = str(refused(call))
        assert re.search(r"CONV_2D: (\d operators, first is 0: )?hybrid", text)
        assert "functional_1/conv2d/Conv2D" in text
        assert "convert without converter.optimizations" in text


# ---- refusals


def many_inputs() -> bytes:
    m = ModelBuilder()
    inputs = [m.tensor(f"x{place}", (1, 4)) for place in range(17)]
    at = inputs[0]
    for each in inputs[1:]:
        total = m.tensor("y", (1, 4))
        m.operator("ADD", [at, each], [total])
        at = total
    return m.build(inputs, [at])


def many_outputs() -> bytes:
    m = ModelBuilder()
    axis = m.tensor("axis", (), "INT32", None, data=np.array(1))
    x, outputs = m.tensor("x", (1, 14)), [m.tensor(f"y{place}", (1, 1)) for place in range(14)]
    return m.operator("SPLIT", [axis, x], outputs).build([x], outputs)


def two_subgraphs() -> bytes:
    m = ModelBuilder()
    x, y = m.tensor("x", (1, 4)), m.tensor("y", (1, 4))
    m.operator("RESHAPE", [x], [y])
    m.model.subgraphs.append(m.graph)
    return m.build([x], [y])


def custom() -> bytes:
    m = ModelBuilder()
    x, y = m.tensor("x", (1, 4)), m.tensor("y", (1, 4))
    return m.operator("CUSTOM", [x], [y], custom="TFLite_Detection").build([x], [y])


def mean() -> bytes:
    m = ModelBuilder()
    x, y = m.tensor("x", (1, 4, 4, 2)), m.tensor("y", (1, 2))
    axes = m.tensor("axes", (2,), "INT32", None, data=np.array([1, 2]))
    return m.operator("MEAN", [x, axes], [y]).build([x], [y])


def conv(scales: int) -> bytes:
    m = ModelBuilder()
    x, y = m.tensor("x", (1, 4, 4, 2)), m.tensor("y", (1, 4, 4, 6))
    w = m.tensor("kernel", (6, 1, 1, 2), scale=[0.01] * scales, data=np.ones((6, 1, 1, 2)))
    return m.operator("CONV_2D", [x, w, -1], [y]).build([x], [y])


def mixed_addition() -> bytes:
    m = ModelBuilder()
    x, y = m.tensor("x", (1, 4)), m.tensor("y", (1, 4))
    c = m.tensor("constant", (1, 4), "INT16", data=np.ones((1, 4)))
    return m.operator("ADD", [x, c], [y]).build([x], [y])


def concatenation(scale: float) -> bytes:
    m = ModelBuilder()
    x = m.tensor("x", (1, 4), scale=0.5)
    c = m.tensor("part", (1, 4), scale=scale, data=np.ones((1, 4)))
    y = m.tensor("y", (1, 8), scale=0.5)
    return m.operator("CONCATENATION", [x, c], [y]).build([x], [y])


PER_CHANNEL_DENSE = dense_model(weight_scale=[0.01, 0.02, 0.03, 0.04])
WRONG: list[tuple[str, bytes, str, str, str]] = [
    (
        "per-channel dense",
        PER_CHANNEL_DENSE,
        "operator 0 FULLY_CONNECTED",
        "'dense/weights'",
        "_for_dense_layers = True",
    ),
    ("shape", chain("SHAPE"), "operator 0 SHAPE", "has no SHAPE", "batch_shape=(1, ...)"),
    ("conv1d", chain("EXPAND_DIMS"), "operator 0 EXPAND_DIMS", "has no EXPAND_DIMS", "Conv2D with a width of 1"),
    ("newer operator", chain("VAR_HANDLE"), "operator 0 VAR_HANDLE", "has no VAR_HANDLE", "keep the state outside"),
    ("custom", custom(), "operator 0 CUSTOM", "'TFLite_Detection'", "allow_custom_ops = False"),
    ("int8 mean", mean(), "operator 0 MEAN", "no MEAN of INT8", "AveragePooling2D"),
    ("int8 to uint8", chain("QUANTIZE", output={"dtype": "UINT8"}), "QUANTIZE", "INT8 to UINT8", "tf.int8"),
    ("requantise", chain("QUANTIZE"), "operator 0 QUANTIZE", "no QUANTIZE of INT8 to INT8", "one type"),
    ("int16 activations", chain("ADD", dtype="INT16"), "ADD", "no ADD of INT16", "ACTIVATIONS_INT16"),
    ("mixed addition", mixed_addition(), "operator 0 ADD", "INT8 and INT16 (tensor 'constant')", "tf.int8"),
    (
        "relu",
        chain("RELU", scale=0.5, output={"scale": 0.25}),
        "operator 0 RELU",
        "without rescaling",
        "activation='relu'",
    ),
    ("concatenation", concatenation(0.25), "operator 0 CONCATENATION", "'x' and 'part' differ", "TFLiteConverter"),
    (
        "softmax scale",
        chain("SOFTMAX", output={"scale": 0.5}),
        "operator 0 SOFTMAX",
        "tensor 'y' has scale 0.5",
        "convert",
    ),
    ("conv scales", conv(4), "operator 0 CONV_2D", "'kernel' have 4 scales, 1 or 6", "convert"),
    ("subgraphs", two_subgraphs(), "subgraphs", "2 subgraphs", "without control flow"),
    ("inputs", many_inputs(), "inputs", "17 inputs, the firmware takes 1 to 16", "concatenate"),
    ("outputs", many_outputs(), "outputs", "14 outputs, the firmware takes 1 to 13", "concatenate"),
    ("batch", dense_model(shape=(4, 8)), "input tensor 'x'", "batch is 4", "batch_shape=(1, ...)"),
    ("dynamic", dense_model(shape=(1, 1, 8), signature=[-1, -1, 8]), "input tensor 'x'", "is dynamic", "fixed size"),
    ("no input scale", dense_model(input_scale=None), "input tensor 'x'", "no quantisation", "representative_dataset"),
    (
        "no output scale",
        dense_model(output_scale=None),
        "output tensor 'y'",
        "no quantisation",
        "representative_dataset",
    ),
    (
        "bool input",
        chain("RESHAPE", dtype="BOOL"),
        "input tensor 'x'",
        "BOOL, FLOAT32 or INT16 or INT8",
        "inference_input",
    ),
    ("hybrid", dense_model(activations="FLOAT32"), "operator 0 FULLY_CONNECTED", "hybrid: its weights", "tf.int8"),
]


@pytest.mark.parametrize(("data", "where", "problem", "fix"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_model_that_would_fail_or_lie_is_refused(data: bytes, where: str, problem: str, fix: str) -> None:
    """By the TFLM of 2020 alone; where a kernel of our own steps in, other tests say so."""
    error = refused(lambda: check_model(data, FILE, kernels=TFLM_2020))
    found = [each for each in error.problems if where in each.where and problem in each.problem]
    assert found, str(error)
    assert fix in found[0].fix
    assert str(FILE) in str(error)


@pytest.mark.parametrize(
    "data",
    [
        dense_model(),
        dense_model(weight_scale=[0.01]),
        dense_model(signature=[-1, 8]),  # what every Keras model says of its batch
        chain("RELU"),
        chain("SOFTMAX", output={"scale": 1 / 256, "zero_point": -128}),
        concatenation(0.5),
        conv(1),
        conv(6),
    ],
)
def test_a_model_that_runs_right_passes(data: bytes) -> None:
    check_model(data, FILE)


OPEN_BATCH = {"EXPAND_DIMS", "SHAPE", "STRIDED_SLICE"}


@pytest.mark.parametrize("name", ["cnn_cure", "autoencoder", "dilated_causal"])
def test_the_cure_of_what_an_open_batch_brings_is_a_batch_of_1(name: str) -> None:
    file = real(name, KERAS)
    problems = refused(lambda: check_model(file.read_bytes(), file, kernels=TFLM_2020)).problems
    brought = [each for each in problems if each.where.split()[-1] in OPEN_BATCH]
    assert brought
    assert {"batch_shape=(1, ...)" in each.fix for each in brought} == {True}


def test_what_an_open_batch_brings_has_one_cure_and_with_it_the_model_passes() -> None:
    file = real("cnn_cure", KERAS)
    text = str(refused(lambda: check_model(file.read_bytes(), file, kernels=TFLM_2020)))
    assert text.count("fix:") == 1
    cured = real("cnn_batch1", KERAS)
    check_model(cured.read_bytes(), cured, kernels=TFLM_2020)


def test_a_batch_of_1_is_not_told_to_become_a_batch_of_1() -> None:
    """The converter leaves the signature out of a model without an open dimension."""
    open_batch = chain("EXPAND_DIMS", signature=[-1, 4, 4, 2])
    assert "batch_shape" not in str(refused(lambda: check_model(chain("EXPAND_DIMS"), FILE, kernels=TFLM_2020)))
    assert "batch_shape" in str(refused(lambda: check_model(open_batch, FILE, kernels=TFLM_2020)))


def test_an_operator_that_the_device_left_out_is_refused() -> None:
    error = refused(lambda: check_model(dense_model(), FILE, frozenset({"CONV_2D"})))
    assert "resolver does not hold FULLY_CONNECTED" in error.problem
    assert "add it to the resolver" in error.fix
    check_model(dense_model(), FILE, frozenset({"FULLY_CONNECTED"}))


def test_all_faults_of_a_model_are_listed() -> None:
    m = ModelBuilder()
    x, h, y = m.tensor("x", (1, 4), "BOOL"), m.tensor("h", (1, 4)), m.tensor("y", (1, 4))
    data = m.operator("SHAPE", [x], [h]).operator("EXPAND_DIMS", [h], [y]).build([x], [y])
    text = str(refused(lambda: check_model(data, FILE, kernels=TFLM_2020)))
    assert "3 problems" in text
    assert all(word in text for word in ("input tensor 'x'", "operator 0 SHAPE", "operator 1 EXPAND_DIMS"))


@pytest.mark.parametrize(
    ("data", "operators"),
    [
        (dense_model(), ()),
        (conv(6), ()),
        (chain("RELU"), ()),
        (PER_CHANNEL_DENSE, ("FULLY_CONNECTED",)),
        (mean(), ("MEAN",)),
        (chain("QUANTIZE"), ("QUANTIZE",)),
        (chain("RELU", scale=0.5, output={"scale": 0.25}), ("RELU",)),
    ],
)
def test_what_the_tflm_of_2020_cannot_do_wants_operators_of_our_own(data: bytes, operators: tuple[str, ...]) -> None:
    check_model(data, FILE)
    assert own_operators(data, FILE) == operators


@pytest.mark.parametrize(
    "name",
    [
        *("autoencoder", "cnn_batch1", "cnn_cure", "cnn_default", "gap", "hardswish", "leaky"),
        *("mlp_default", "rescale", "sepconv", "b1_gmax"),
    ],
)
def test_what_the_converter_writes_by_default_is_accepted(name: str) -> None:
    file = real(name, KERAS)
    check_model(file.read_bytes(), file)
    assert bool(own_operators(file.read_bytes(), file)) == (name != "cnn_batch1")


def test_a_dilated_layer_with_an_open_batch_is_refused() -> None:
    """The converter writes shapes without blocks; the wheel answers by what its memory held before."""
    file = real("dilated_causal", KERAS)
    text = str(refused(lambda: check_model(file.read_bytes(), file)))
    assert "operator 1 SPACE_TO_BATCH_ND" in text
    assert "memory that nobody wrote" in text
    assert "batch_shape=(1, ...)" in text


def test_the_kernel_table_covers_the_operators_that_the_firmware_registers() -> None:
    source = (Path(__file__).parents[2] / "firmware/tflm/engine_2020.cpp").read_text()
    registered = set(re.findall(r"\{tflite::BuiltinOperator_(\w+), micro::Register_", source))
    assert registered
    assert registered == TFLM_2020.operators


@pytest.mark.parametrize(
    ("data", "where", "problem"),
    [
        (dense_model(), "input tensor 'x'", "must be a FLOAT32 model"),
        (float_model(inputs=9), "input tensor 'x'", "shape is [1, 9], the int8 model's is [1, 8]"),
        (float_model(outputs=5), "output tensor 'y'", "shape is [1, 5], the int8 model's is [1, 4]"),
        (dense_model(activations="FLOAT32"), "FULLY_CONNECTED", "hybrid: its weights 'dense/weights' are INT8"),
    ],
)
def test_a_wrong_float_reference_is_refused(data: bytes, where: str, problem: str) -> None:
    error = refused(lambda: check_float_model(data, FILE, parse_model(dense_model(), FILE)))
    assert where in error.where
    assert problem in error.problem
    assert "convert" in error.fix


def test_the_float_twin_is_accepted_as_reference() -> None:
    check_float_model(float_model(), FILE, parse_model(dense_model(), FILE))


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="no ../shared/data/public_models beside the project")
def test_a_further_input_of_a_type_that_its_kernel_does_not_take_is_refused() -> None:
    """An SVDF whose memory has 32 bits, which the kernel refuses only when the model is set up."""
    file = PUBLIC / "tflm_keyword_scrambled_8bit.tflite"
    model = model_edit.read_model(file.read_bytes())
    graph = model.subgraphs[0]
    check_model(model_edit.write_model(model), file)
    for operator in (each for each in graph.operators if len(each.inputs) == 5):
        for place in (2, 4):
            graph.tensors[operator.inputs[place]].type = TENSOR_TYPES["INT32"]
    text = str(refused(lambda: check_model(model_edit.write_model(model), file)))
    assert "SVDF: 7 operators, first is 1: its kernel takes INT16 or INT8 as input 2; tensor '' is INT32" in text
