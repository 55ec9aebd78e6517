"""A case folder is read as docs/case-format.md says, and each fault is refused with file, key and fix."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from case_folder import Folder, npz, windows
from hypothesis import assume, given
from hypothesis import strategies as st
from tflite_builder import dense_model

from hil.case.load import load_case
from hil.case.stages import gain
from hil.case.types import Channel, Gate, LatencyLimit, Limit, Window
from hil.errors import CaseError
from hil.model.kernels.library import KernelLibrary
from hil.model.kernels.own import WITH_OWN
from hil.model.kernels.upstream import UPSTREAM

ROOT = Path(__file__).parents[2]
TENSOR_CASE = (
    '[case]\nname = "bare"\nversion = 1\nsource = "x"\n[model]\nint8 = "model_int8.tflite"\n'
    '[input]\nprepare = "tensor/1"\n[budget.memory]\narena_bytes = 4096\n'
)


def refused(folder: Folder) -> CaseError:
    with pytest.raises(CaseError) as caught:
        load_case(folder.path)
    assert str(folder.path) in str(caught.value)
    return caught.value


def test_every_value_of_a_case_file_arrives(folder: Folder) -> None:
    case = load_case(folder.path)
    assert (case.name, case.version, case.source, case.rate_hz) == ("toy", 3, "made by the tests", 10.0)
    assert case.path == folder.toml
    assert case.window == Window("int16", 4, 2)
    assert case.gate == Gate(-32767.0, 32767.0, 0.0)
    assert case.prepare.name == "scale/1"
    # 39.24 / 0.5 * 65536 = 5143265.28; 34.9 / 0.5 * 65536 = 4574412.8
    assert case.prepare.channels == (Channel(0, 0, 5143265), Channel(1, 0, 4574413))
    # scale 1/256, zero point -128: 0.60 * 256 = 153.6, the largest q + 128 below it is 153; 0.50 * 256 = 128, so 127
    assert (case.decide.threshold, case.decide.release) == (153 - 128, 127 - 128)
    assert (case.decide.name, case.decide.debounce, case.decide.cooldown) == ("argmax/1", 2, 1)
    assert case.decide.labels == ("a", "b", "c", "d")
    assert case.arena_bytes == 8192
    assert case.deadline == {"instructions": 2_000_000_000, "ms": 2000}
    assert case.contracts.saturation == Limit(maximum=0.05)
    assert case.contracts.accuracy == Limit(minimum=0.90)
    assert case.contracts.agreement["sqnr_db"] == Limit(minimum=20.0, unit="dB")
    assert set(case.contracts.agreement) == {"top1", "topk", "cosine", "sqnr_db", "max_abs_error", "spearman", "flips"}
    assert (case.contracts.topk, case.contracts.flip_band) == (2, 0.1)
    assert (case.contracts.confidence, case.contracts.warmup) == (0.9, 2)
    assert (case.contracts.arena_headroom, case.contracts.stack_headroom) == (0.10, 0.25)
    assert set(case.contracts.latency) == {
        LatencyLimit("total", "p50", "instructions", Limit(maximum=2_000_000, unit="instructions")),
        LatencyLimit("total", "p99", "instructions", Limit(maximum=3_000_000, unit="instructions")),
        LatencyLimit("invoke", "p95", "instructions", Limit(maximum=2_500_000, unit="instructions")),
        LatencyLimit("total", "p99", "cycles", Limit(maximum=3_000_000, unit="cycles")),
        LatencyLimit("total", "p99", "cycles", Limit(maximum=25.0, unit="ms")),
    }
    assert case.float_model is not None
    assert len(case.vectors) == 6
    assert not case.locked


def test_the_path_may_be_the_file_or_its_folder(folder: Folder) -> None:
    assert load_case(folder.toml).name == load_case(folder.path).name


def test_the_example_in_the_documentation_is_a_valid_case_file(folder: Folder) -> None:
    text = (ROOT / "docs/case-format.md").read_text()
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example
    folder.write("case.toml", example[1])
    folder.write("model_int8.tflite", dense_model(shape=(1, 40, 6, 1)))
    folder.write(
        "model_float.tflite",
        dense_model(shape=(1, 40, 6, 1), activations="FLOAT32", weight_type="FLOAT32", weight_scale=None),
    )
    folder.write("vectors.npz", npz(windows=windows(3, "int16", (40, 6)), label=np.array([0, 1, 2])))
    case = load_case(folder.path)
    assert case.name == "imu_motion"
    assert len(case.prepare.channels) == 6


def test_the_defaults_are_those_of_the_documentation(folder: Folder) -> None:
    folder.write("model_int8.tflite", dense_model(shape=(1, 4, 2)))
    folder.write("vectors.npz", npz(windows=windows(2, "int8")))
    folder.write("case.toml", TENSOR_CASE)
    case = load_case(folder.path)
    assert case.window == Window("int8", 4, 2)
    assert case.gate == Gate(-128.0, 127.0, 0.0)
    assert case.decide.name == "none/1"
    assert (case.contracts.lsb, case.contracts.replays, case.contracts.passes) == (0, 10, 2)
    assert (case.contracts.confidence, case.contracts.warmup) == (0.95, 1)
    assert case.contracts.agreement == {}
    assert case.float_model is None
    assert case.deadline == {}


@pytest.mark.parametrize(("kernels", "lsb"), [(None, 2), (WITH_OWN, 1), (UPSTREAM, 0)])
def test_each_set_of_kernels_may_have_its_own_budget(folder: Folder, kernels: KernelLibrary | None, lsb: int) -> None:
    folder.replace("lsb = 0", 'lsb = 2\nlsb_of = { "2020" = 1, upstream = 0 }')
    assert load_case(folder.path, kernels).contracts.lsb == lsb


def test_without_a_budget_of_its_own_a_set_of_kernels_has_that_of_all(folder: Folder) -> None:
    folder.replace("lsb = 0", "lsb = 2\nlsb_of = { upstream = 3 }")
    assert load_case(folder.path, WITH_OWN).contracts.lsb == 2


def test_operators_that_may_run_on_reference_code_are_those_of_the_model(folder: Folder) -> None:
    assert load_case(folder.path).contracts.reference_kernels is None
    folder.replace("lsb = 0", "lsb = 0\nreference_kernels = []")
    assert load_case(folder.path).contracts.reference_kernels == ()
    folder.replace("reference_kernels = []", 'reference_kernels = ["FULLY_CONNECTED", "SOFTMAX"]')
    with pytest.raises(CaseError, match=r"reference_kernels.*no operator 'SOFTMAX'") as caught:
        load_case(folder.path)
    assert "FULLY_CONNECTED" in caught.value.fix


def test_the_arena_may_be_left_out_and_is_noted(folder: Folder) -> None:
    assert load_case(folder.path).notes == ()
    folder.replace("arena_bytes = 8192", "")
    case = load_case(folder.path)
    assert (case.arena_bytes, case.contracts.arena_headroom) == (None, 0.10)
    (note,) = case.notes
    assert "[budget.memory] has no arena_bytes" in note
    assert "hil gate refuses the case" in note


def test_a_case_without_any_budget_is_one(folder: Folder) -> None:
    toml = folder.path / "case.toml"
    head, rest = toml.read_text().split("[budget.memory]")
    toml.write_text(head)
    assert "[budget." in rest
    case = load_case(folder.path)
    assert (case.arena_bytes, case.contracts.latency, case.contracts.flash_bytes) == (None, (), None)


# (old text, new text, where, problem, fix)
WRONG = [
    ("version = 3", "verson = 3", "[case] verson", "unknown key 'verson'", "did you mean 'version'?"),
    ("version = 3", "", "[case] version", "missing", "add version = 1"),
    ("version = 3", 'version = "3"', "[case] version", "'3'", "whole number without quotes"),
    ("version = 3", "version = 3.0", "[case] version", "3.0", "whole number without"),
    ("version = 3", "version = 0", "[case] version", "1 or more", "version"),
    ('name = "toy"', 'name = "to y"', "[case] name", "letters, digits", "imu_motion"),
    ('source = "made by the tests"', 'source = ""', "[case] source", "empty", "fill it in"),
    ("arena_bytes = 8192", "arena_bytes = 0", "[budget.memory] arena_bytes", "1 or more", "arena_bytes"),
    ("arena_bytes = 8192", "threshold = 0.5", "[budget.memory] threshold", "unknown key", "belongs into [decision]"),
    ("arena_headroom = 0.10", "arena_headroom = 10", "[budget.memory] arena_headroom", "10", "write 0.10 for 10 %"),
    ("total.p99_ms = 25.0", "total.p99_ms = -1.0", "[budget.latency.cycles] total.p99_ms", "above 0", "milliseconds"),
    (
        "invoke.p95 = 2_500_000",
        "total.p99_ms = 25.0",
        "[budget.latency.instructions] total.p99_ms",
        "unknown key",
        "total.p99 = <instructions> here, or put total.p99_ms under [budget.latency.cycles]",
    ),
    ("invoke.p95 = 2_500_000", "invoke = 5", "[budget.latency.instructions] invoke", "a table is wanted", "invoke.p50"),
    ("invoke.p95 = 2_500_000", "invoke.p90 = 5", "instructions] invoke.p90", "unknown key 'p90'", "did you mean 'p9"),
    ("confidence = 0.9", "confidence = 95", "[contract.latency] confidence", "below 1", "0.95 for 95 %"),
    ("lsb = 0", "lsb = 65535", "[contract.execution] lsb", "65,534 or less", "0 is what a bit-exact"),
    ("lsb = 0", "replays = 0", "[contract.execution] replays", "1 or more", "replays"),
    ("lsb = 0", "replays = 1001", "[contract.execution] replays", "1,000 or less", "replays"),
    ("lsb = 0", "passes = 10001", "[contract.execution] passes", "10,000 or less", "passes"),
    ("warmup = 2", "warmup = 101", "[contract.latency] warmup", "100 or less", "warmup"),
    ("debounce = 2", "debounce = 1001", "[decision] debounce", "1,000 or less", "debounce"),
    ("cooldown = 1", "cooldown = 1001", "[decision] cooldown", "1,000 or less", "cooldown"),
    ("lsb = 0", "passes = 0", "[contract.execution] passes", "1 or more", "passes"),
    ('prepare = "scale/1"', 'prepare = "scale/2"', "[input] prepare", "'scale/2'", 'prepare = "scale/1"'),
    ("threshold = 0.60", "threshold = 60", "[decision] threshold", "60", "not percent: write 0.6"),
    ("threshold = 0.60", "threshold = inf", "[decision] threshold", "finite", "finite"),
    ("threshold = 0.60", "threshold = 1.0", "[decision] threshold", "no window would ever be accepted", "score"),
    ("release = 0.50", "release = 0.7", "[decision] release", "above threshold", "at or below"),
    ("release = 0.50", "release = -0.1", "[decision] release", "out of reach", "score"),
    ("debounce = 2", "debounce = 0", "[decision] debounce", "1 or more", "debounce"),
    ('"b", "c", "d"]', '"b", "b", "d"]', "[decision] labels", "'b' occurs more than once", "own label"),
    ('"b", "c", "d"]', '"b", "c"]', "[decision] labels", "3 labels", "list 4 labels"),
    ('"b", "c", "d"]', '"b", "c", "unknown"]', "[decision] unknown", "also a label", 'unknown = "no answer"'),
    ("max = 0.05", "max = 5", "[contract.input] saturation", "can never fail", "0.98 for 98 %"),
    ("accuracy = { min = 0.90 }", "accuracy = { min = 90 }", "accuracy.min", "cannot be reached", "share"),
    (
        "accuracy = { min = 0.90 }",
        "accuracy = { min = 0.9, max = 0.8 }",
        "accuracy",
        "min 0.9 is above max",
        "exchange",
    ),
    ("accuracy = { min = 0.90 }", "accuracy = {}", "accuracy", "neither min nor max", "min = "),
    ("top1 = { min = 0.98 }", "top1 = { min = 1.1 }", "[contract.agreement] top1.min", "cannot be reached", "lower it"),
    ("top1 = { min = 0.98 }", "top1 = { min = 0 }", "[contract.agreement] top1", "can never fail", "tighten"),
    ("cosine = { min = 0.99 }", "cosine = { min = 1.5 }", "[contract.agreement] cosine.min", "-1 to 1", "lower it"),
    ("max_abs_error = { max = 0.1 }", "max_abs_error = { max = -1.0 }", "max_abs_error.max", "cannot be kept", "raise"),
    ("k = 2", "k = 5", "[contract.agreement] topk.k", "the model has 4 outputs", "k from 1 to 3"),
    ("k = 2", "k = 0", "[contract.agreement] topk.k", "1 or more", "k"),
    ("flips = { max = 0,", "flips = { max = 0.5,", "flips.max", "whole number", "whole number"),
    (
        "total.p50 = 2_000_000",
        "total.p50 = 4_000_000",
        "instructions] total.p99",
        "below the limit of p50",
        "never below",
    ),
    ("ram_bytes = 400_000", "ram_bytes = 8_000", "[budget.memory] ram_bytes", "cannot hold the arena", "raise it"),
    ("flash_bytes = 600_000", "flash_bytes = 100", "[budget.memory] flash_bytes", "cannot hold the model", "raise it"),
    ('int8 = "model_int8.tflite"', 'int8 = "nope.tflite"', "[model] int8", "there is no file", "put it there"),
    ('int8 = "model_int8.tflite"', 'int8 = "../m.tflite"', "[model] int8", "not a path inside", "copy the file"),
    ('int8 = "model_int8.tflite"', 'int8 = "/m.tflite"', "[model] int8", "not a path inside", "copy the file"),
    ('int8 = "model_int8.tflite"', 'int8 = "a\\u0000b"', "[model] int8", "'a\\x00b' cannot be read", "readable"),
    ('int8 = "model_int8.tflite"', f'int8 = "{"m" * 300}"', "[model] int8", "File name too long", "readable"),
    ("version = 3", f"version = {'9' * 5000}", "", "4300 digits", "18 digits"),
    ("version = 3", f"version = {'[' * 5000}", "", "nested too deeply", "two lists"),
    ("window = 4", "window = 10_001", "[input] window", "40,004 bytes; a frame of the link carries 40,000", "shorter"),
    ('float = "model_float.tflite"', "", "[contract.agreement] top1", "no float model", "float = "),
    ("window = 4", "", "[input] window", "missing", "window = 40"),
    ("window = 4", "window = 5", "[input] window", "10 values", "write window = 4"),
    ("full_scale = [39.24, 34.9]", "", "[input] full_scale", "missing", "full_scale = 39.24"),
    ("full_scale = [39.24, 34.9]", "full_scale = [1, 2, 3]", "[input] full_scale", "3 values", "give 2 values"),
    ("full_scale = [39.24, 34.9]", "full_scale = [1, true]", "[input] full_scale", "a number is wanted", "number"),
    ("full_scale = [39.24, 34.9]", "full_scale = 1e6", "[input] full_scale", "does not fit 32 bits", "up to 16384"),
    ("full_scale = [39.24, 34.9]", "full_scale = 1e-9", "[input] full_scale", "gain 0", "input units"),
    ("rate_hz = 10.0", "source_channels = [0, 2]", "[input] source_channels", "no channel 2", "from 0"),
    ("rate_hz = 10.0", "rate_hz = 0", "[input] rate_hz", "above 0", "rate_hz"),
    ("minimum = -32767", "minimum = 32768", "[input.gate] minimum", "outside of int16", "units of the window"),
    ("minimum = -32767", "minimum = 0.5", "[input.gate] minimum", "not whole", "whole number"),
    ("maximum = 32767", "maximum = -32768", "[input.gate]", "every window would be rejected", "exchange"),
    ("maximum = 32767", "min_span = 65535", "[input.gate] min_span", "every window would be flat", "at most 65534"),
    ("[contract.latency]", "[contract.latenzy]", "contract", "unknown key 'latenzy'", "did you mean 'latency'?"),
    (
        "[contract.latency]",
        '[contract.sanity]\nexpect = ["chance_accuracy", "constant_outputs"]\n[contract.latency]',
        "[contract.sanity] expect.1",
        "'constant_outputs' does not do: it must be 'identical_windows'",
        'write "constant_output"',
    ),
    (
        "[contract.latency]",
        '[contract.sanity]\nexpect = "constant_output"\n[contract.latency]',
        "[contract.sanity] expect",
        "a list is wanted",
        "write a list",
    ),
]


def test_what_a_case_means_so_is_read(folder: Folder) -> None:
    folder.replace("[contract.latency]", '[contract.sanity]\nexpect = ["chance_accuracy"]\n[contract.latency]')
    assert load_case(folder.path).contracts.meant == ("chance_accuracy",)


@pytest.mark.parametrize(
    ("old", "new", "where", "problem", "fix"), WRONG, ids=[f"{w[2]} <- {w[1][:60]}" for w in WRONG]
)
def test_a_wrong_value_is_refused_by_name(
    folder: Folder, old: str, new: str, where: str, problem: str, fix: str
) -> None:
    error = refused(folder.replace(old, new))
    assert error.file == folder.toml
    assert where in error.where
    assert problem in error.problem
    assert fix in error.fix
    assert str(error.fix) in str(error)


def test_a_fault_carries_its_line(folder: Folder) -> None:
    folder.replace("arena_headroom = 0.10", "arena_headrom = 0.10")
    assert refused(folder).where.startswith(f"line {folder.line_of('arena_headrom')}, ")


def test_all_faults_of_a_file_are_listed_with_their_fixes(folder: Folder) -> None:
    folder.replace("version = 3", "verson = 3").replace("debounce = 2", "debounce = 0")
    text = str(refused(folder))
    assert "2 problems" in text  # that `version` is missing is not said again
    assert "did you mean 'version'?" in text
    assert "[decision] debounce" in text


def test_faults_of_syntax_name_the_line(folder: Folder) -> None:
    folder.replace("window = 4", "window = = 4")
    error = refused(folder)
    assert "not valid TOML" in error.problem
    assert f"line {folder.line_of('= = 4')}" in error.problem


def test_a_file_that_is_not_utf8_is_refused(folder: Folder) -> None:
    folder.write("case.toml", b'[case]\nname = "caf\xe9"\n')
    error = refused(folder)
    assert error.where == "line 2"
    assert "UTF-8" in error.fix


def test_a_folder_without_a_case_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"case\.toml.*cannot be read"):
        load_case(tmp_path)


def test_a_link_out_of_the_folder_is_refused(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "model.tflite"
    outside.write_bytes(dense_model())
    (folder.path / "model_int8.tflite").unlink()
    (folder.path / "model_int8.tflite").symlink_to(outside)
    assert "not a path inside" in refused(folder).problem


def test_a_loop_of_links_is_refused(folder: Folder) -> None:
    (folder.path / "model_int8.tflite").unlink()
    (folder.path / "model_int8.tflite").symlink_to("model_int8.tflite")
    error = refused(folder)
    assert error.where.endswith("[model] int8")
    assert error.fix


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
@pytest.mark.parametrize(("name", "where"), [("model_int8.tflite", "[model] int8"), ("vectors.npz", "[input]")])
def test_a_file_without_permission_is_refused(folder: Folder, name: str, where: str) -> None:
    (folder.path / name).chmod(0)
    error = refused(folder)
    assert where in error.where
    assert "Permission denied" in error.problem


def test_a_window_as_long_as_a_frame_carries_passes(folder: Folder) -> None:
    folder.write("case.toml", TENSOR_CASE)
    folder.write("model_int8.tflite", dense_model(shape=(1, 200, 200)))
    folder.write("vectors.npz", npz(windows=windows(1, "int8", (200, 200))))
    assert load_case(folder.path).window.bytes == 40_000
    folder.write("model_int8.tflite", dense_model(shape=(1, 40_001, 1)))
    assert "40,001 bytes; a frame of the link carries 40,000" in refused(folder).problem


def gated(folder: Folder, **columns: object) -> Folder:
    """Six windows: 2 has a value above the gate's maximum, 4 is flat, 5 is sent one sample short."""
    values = windows()
    values[2, 0, 0], values[4] = 30_000, 7
    folder.replace("minimum = -32767\nmaximum = 32767\n", "minimum = -100\nmaximum = 100\nmin_span = 1\n")
    labels = np.array([0, 1, -1, 3, -1, -1])
    samples = np.array([4, 4, 4, 4, 4, 3])
    return folder.write("vectors.npz", npz(windows=values, label=labels, samples=samples, **columns))


def test_a_reject_column_that_the_gate_confirms_passes(folder: Folder) -> None:
    gated(folder, reject=np.array(["", "", "range", "", "flat", "length"]))
    assert load_case(folder.path).vectors.reject == ("", "", "range", "", "flat", "length")


def test_a_reject_column_that_contradicts_the_gate_is_refused(folder: Folder) -> None:
    names = np.array(["a", "b", "high", "c", "still", "short"])
    gated(folder, reject=np.array(["", "range", "", "", "range", "length"]), name=names)
    error = refused(folder)
    assert error.file == folder.path / "vectors.npz"
    assert error.where == "array 'reject'"
    text = str(error)
    assert "3 problems" in text
    assert "row 1 (b) expects range, the gate as [input.gate] sets it finds the window valid" in text
    assert "row 2 (high) expects no rejection, the gate as [input.gate] sets it finds range" in text
    assert "row 4 (still) expects range, the gate as [input.gate] sets it finds flat" in text
    assert "mend reject" in error.fix


def test_many_contradictions_are_counted(folder: Folder) -> None:
    folder.write("vectors.npz", npz(windows=windows(40), label=np.zeros(40, int), reject=np.array(["flat"] * 40)))
    assert "35 further rows" in str(refused(folder))


def test_accuracy_needs_true_labels(folder: Folder) -> None:
    folder.write("vectors.npz", npz(windows=windows(), label=np.full(6, -1)))
    error = refused(folder)
    assert "[contract.decision] accuracy" in error.where
    assert "no true label" in error.problem
    assert "'label'" in error.fix


@pytest.mark.parametrize("key", ["full_scale", "offset", "source_channels"])
def test_scaling_keys_are_refused_without_scaling(folder: Folder, key: str) -> None:
    folder.replace('prepare = "scale/1"', 'prepare = "quantize/1"')
    folder.replace("full_scale = [39.24, 34.9]", f"{key} = [1, 0]")
    error = refused(folder)
    assert error.where.endswith(f"[input] {key}")
    assert "does not use it" in error.problem


@pytest.mark.parametrize("key", ["window = 4", "channels = 2"])
def test_a_tensor_window_takes_its_shape_from_the_model(folder: Folder, key: str) -> None:
    folder.replace('prepare = "scale/1"', 'prepare = "tensor/1"').replace("full_scale = [39.24, 34.9]", "")
    other = {"window = 4": "channels = 2", "channels = 2": "window = 4"}[key]
    folder.replace(other, "")
    error = refused(folder)
    assert error.where.endswith(f"[input] {key.split()[0]}")
    assert error.fix == "remove the line"


def test_quantize_carries_the_float32_reciprocal_of_the_scale(folder: Folder) -> None:
    folder.replace('prepare = "scale/1"', 'prepare = "quantize/1"').replace("full_scale = [39.24, 34.9]", "")
    folder.replace("minimum = -32767", "minimum = -0.1").replace("maximum = 32767", "maximum = 1e3")
    folder.write("model_int8.tflite", dense_model(input_scale=0.3))
    folder.write("vectors.npz", npz(windows=windows(6, "float32"), label=np.zeros(6, int)))
    case = load_case(folder.path)
    assert case.window == Window("float32", 4, 2)
    assert case.prepare.factor == float(np.float32(1) / np.float32(0.3))
    assert case.prepare.factor != 1 / 0.3
    assert case.gate.minimum == float(np.float32(-0.1))


def test_a_float_window_without_a_gate_takes_every_finite_value(folder: Folder) -> None:
    folder.replace('prepare = "scale/1"', 'prepare = "quantize/1"').replace("full_scale = [39.24, 34.9]", "")
    folder.replace("[input.gate]\nminimum = -32767\nmaximum = 32767\n", "")
    folder.write("vectors.npz", npz(windows=windows(6, "float32"), label=np.zeros(6, int)))
    largest = float(np.finfo(np.float32).max)
    assert load_case(folder.path).gate == Gate(-largest, largest, 0.0)


def test_one_full_scale_and_channel_choice_serve_all_tensor_channels(folder: Folder) -> None:
    folder.replace("full_scale = [39.24, 34.9]", "full_scale = 8\noffset = [5, -7]\nsource_channels = [2, 0]")
    folder.replace("channels = 2", "channels = 3")
    folder.write("vectors.npz", npz(windows=windows(6, "int16", (4, 3)), label=np.zeros(6, int)))
    assert load_case(folder.path).prepare.channels == (Channel(2, 5, 16 * 65536), Channel(0, -7, 16 * 65536))


@given(
    full_scale=st.floats(1e-3, 1e4),
    scale=st.floats(2**-12, 2.0, width=32),
)
def test_the_gain_is_the_nearest_whole_q16(full_scale: float, scale: float) -> None:
    exact = Fraction(repr(full_scale)) * 65536 / Fraction(scale)
    found = gain(full_scale, scale)
    assert abs(found - exact) <= Fraction(1, 2)


@given(letters=st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12))
def test_any_unknown_key_is_refused(tmp_path_factory: pytest.TempPathFactory, letters: str) -> None:
    assume(letters not in {"name", "version", "source"})
    folder = Folder(tmp_path_factory.mktemp("case"))
    error = refused(folder.replace("version = 3", f"version = 3\n{letters} = 1"))
    assert error.problem == f"unknown key {letters!r}"
