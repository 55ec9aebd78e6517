"""The float reference: what it feeds the model, that TensorFlow gives the same numbers, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.errors import UsageError
from hil.reference.float import FloatReference
from hil.reference.int8 import Int8Oracle
from hil.tensor import Quantisation

VECTORS = 40


def inputs(elements: int) -> np.ndarray:
    return np.random.default_rng(3).integers(-128, 128, (VECTORS, elements)).astype(np.int8)


def test_every_int8_value_stands_for_its_real_value() -> None:
    q = np.arange(-128, 128).astype(np.int8)
    scale = float(np.float32(0.1))
    found = Quantisation(scale, -128).real32(q)
    assert found.dtype == np.float32
    # The product of a whole number of 8 bits and a float32 is exact in a double; one rounding to float32 is left.
    assert found.tolist() == [float(np.float32((value + 128) * scale)) for value in q.tolist()]


def test_scores_are_probabilities_of_the_float_model(imu_folder: Path) -> None:
    reference = FloatReference((imu_folder / "model_float.tflite").read_bytes())
    scores = reference.run(inputs(240), Quantisation(0.25, -15))
    assert (scores.dtype, scores.shape) == (np.float32, (VECTORS, 4))
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)
    assert len(np.unique(scores, axis=0)) > 1


@pytest.mark.parametrize(
    ("floating", "int8"),
    [("imu", "imu"), ("ad01_fp32", "ad01_int8"), ("pretrainedResnet", "pretrainedResnet_quant")],
)
def test_tensorflow_gives_the_same_numbers(
    request: pytest.FixtureRequest, imu_folder: Path, floating: str, int8: str
) -> None:
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow, the extra `rebuild`")
    paths = (imu_folder / "model_float.tflite", imu_folder / "model_int8.tflite")
    if floating != "imu":
        models = request.getfixturevalue("mlperf") / "models"
        paths = (models / f"{floating}.tflite", models / f"{int8}.tflite")
    model = paths[0].read_bytes()
    tensor = Int8Oracle(paths[1].read_bytes()).input
    prepared = inputs(tensor.elements)

    interpreter = tf.lite.Interpreter(
        model_content=model, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    expected = []
    for row in prepared:
        real = (row.astype(np.float64) - tensor.quantisation.zero_point) * tensor.quantisation.scale
        interpreter.set_tensor(source["index"], real.astype(np.float32).reshape(source["shape"]))
        interpreter.invoke()
        expected.append(interpreter.get_tensor(sink["index"]).ravel())

    found = FloatReference(model).run(prepared, tensor.quantisation)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5 * max(1.0, float(np.abs(expected).max())))


def test_a_hybrid_model_is_no_float_reference(mlperf: Path) -> None:
    hybrid = (mlperf / "models" / "kws_ref_model_float32.tflite").read_bytes()
    with pytest.raises(UsageError, match=r"kws: tensor .* is int8: a quantised or hybrid model is no float reference"):
        FloatReference(hybrid, name="kws")


def test_an_int8_model_is_no_float_reference(imu_folder: Path) -> None:
    with pytest.raises(UsageError, match="its ends are int8, not float32"):
        FloatReference((imu_folder / "model_int8.tflite").read_bytes())


@pytest.mark.parametrize("data", [b"", bytes(100), b"not a model" * 20])
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="LiteRT refuses this model"):
        FloatReference(data)
