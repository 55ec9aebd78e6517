"""The seeded defects: one row each, with what a developer did wrong and what the gate must say first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from firmware_workbench import KERNELS, Edit
from model_edit import read_model, tensor_of, write_model
from typed_cases import CASES

from hil.bundle import build_bundle
from hil.case.types import Case

MakeBundle = Callable[[Case], bytes]
ImageOf = Callable[["Defect"], Path]


@dataclass(frozen=True)
class Defect:
    """`check` is the first that must fail, and so names the contract to blame; `also` must fail too.

    edits: of the firmware's sources. kernels: of TFLM's. bundle: what is provisioned in place of the case's own.
    case: of the case's text files; files: changes what else lies in a copy of its folder.
    stage: the one that the first finding names. says: texts of the first finding. quick: not marked slow.
    """

    name: str
    mistake: str
    check: str
    edits: tuple[Edit, ...] = ()
    kernels: tuple[Edit, ...] = ()
    bundle: MakeBundle | None = None
    case: tuple[Edit, ...] = ()
    files: Callable[[Path], None] | None = None
    stage: str = ""
    says: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    board: str = "native"
    quick: bool = False
    own_image: bool = False  # built by the same steps even without an edit
    whole: bool = False  # shows in all vectors only

    @property
    def thin(self) -> bool:
        """Whether every fourth vector is enough: not where percentiles are judged."""
        return self.board == "native" and not self.whole


# ---- cases other than imu_motion as it is ----------------------------------------------------------------------------

STREAMING = (  # lone vectors never last long enough to be accepted, so accuracy says nothing here
    Edit("case.toml", "threshold = 0.60\n", "threshold = 0.60\nrelease = 0.50\ndebounce = 2\ncooldown = 1\n"),
    Edit("case.toml", "[contract.decision]\naccuracy = { min = 0.98 }\n", ""),
)
# 128 times the model's input scale: a count is 1/256 of an LSB.
HALVES = (
    Edit("case.toml", "full_scale = [39.2266, 39.2266, 39.2266, 34.9066, 34.9066, 34.9066]", "full_scale = 31.466889"),
    Edit("case.toml", "flips = { max = 0, band = 0.05 }\n", ""),
)


def tight_budget(folder: Path) -> None:
    """A single latency limit, not far above the 530,000 instructions of a clean run."""
    file = folder / "case.toml"
    rest, _, _ = file.read_text().partition("[budget.latency.instructions]")
    file.write_text(f"{rest}[budget.latency.instructions]\ntotal.p99 = 600_000\n")


def without_golden_outputs(folder: Path) -> None:
    """For a case whose outputs are meant to be others."""
    file = folder / "vectors.npz"
    with np.load(file) as columns:
        kept = {name: column for name, column in columns.items() if name != "expected_output"}
    np.savez(file, **kept)


# ---- bundles ---------------------------------------------------------------------------------------------------------


def changed(**fields: object) -> MakeBundle:
    """A bundle, hashes and all, of the case with other fields."""
    return lambda case: build_bundle(replace(case, **fields))


def decides(**fields: object) -> MakeBundle:
    return lambda case: build_bundle(replace(case, decide=replace(case.decide, **fields)))


def relabelled(case: Case) -> bytes:
    labels = case.decide.labels
    return build_bundle(replace(case, decide=replace(case.decide, labels=(*labels[1:], labels[0]))))


def halved_gain(case: Case) -> bytes:
    first, *others = case.prepare.channels
    channels = (replace(first, gain=first.gain // 2), *others)
    return build_bundle(replace(case, prepare=replace(case.prepare, channels=channels)))


def other_weight(case: Case) -> bytes:
    """The highest bit but one of one Dense weight."""
    model = read_model(case.model.data)
    weights = model.buffers[tensor_of(model, b"dense", (4, 16)).buffer]
    weights.data = weights.data.copy()
    weights.data[5] ^= 0x40
    return _with_model(case, write_model(model))


def other_input_scale(case: Case) -> bytes:
    model = read_model(case.model.data)
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].quantization.scale = [0.25]
    return _with_model(case, write_model(model))


def flipped_in_flash(case: Case) -> bytes:
    """One bit of the model after the bundle was made, the hash as it was."""
    bundle = bytearray(build_bundle(case))
    bundle[-len(case.model.data) // 2] ^= 0x10
    return bytes(bundle)


def _with_model(case: Case, data: bytes) -> bytes:
    return build_bundle(replace(case, model=replace(case.model, data=data)))


# ---- models ----------------------------------------------------------------------------------------------------------


def per_channel_dense(folder: Path) -> None:
    """What a current converter makes of a Dense layer unless told otherwise: one weight scale for each output."""
    file = folder / "model_int8.tflite"
    model = read_model(file.read_bytes())
    weights = tensor_of(model, b"dense", (4, 16))
    scale = float(weights.quantization.scale[0])
    weights.quantization.scale = [scale, scale / 2, scale / 3, scale / 4]
    weights.quantization.zeroPoint = [0] * 4
    weights.quantization.quantizedDimension = 0
    file.write_bytes(write_model(model))


# ---- edits that several rows share -----------------------------------------------------------------------------------

PREPARE, GATE, DECIDE = "pipeline/prepare.cpp", "pipeline/gate.cpp", "pipeline/decide.cpp"
PIPELINE, PRODUCT, ENGINE = "pipeline/pipeline.cpp", "app/product.cpp", "tflm/engine_2020.cpp"
SCALE = "static_cast<int8_t>(std::clamp<int64_t>(q, -128, 127))"
ROUND = "zero_point + ((acc + (int64_t{1} << 30)) >> 31)"
LOAD = "LoadElement<int16_t>(window, row + channel.source)"
RUN_PREPARE = (
    "  bundle_->prepare_run(bundle_->prepare_parameters, bundle_->window, first, bundle_->input.element(),\n"
    "                       bundle_->input.zero_point, input_);"
)
SAMPLES = "  for (uint32_t sample = 0; sample < format.samples; ++sample) {\n"
ROW = "    const size_t row = static_cast<size_t>(sample) * format.channels;\n"
CHANNELS = "    for (size_t c = 0; c < parameters.channel_count; ++c) {\n"
FACTS = "  const ElementFacts& facts = Facts(type);\n"
NO_ZERO_POINT = "op_params.zero_point = 0"
BITS = "LoadElement<int32_t>(elements, index)"
RUN_INVOKE = "bool Pipeline::RunInvoke() { return EngineInvoke().ok(); }"
ENGINE_INVOKE = "EngineResult EngineInvoke() {\n"
ARGMAX = "std::max_element(scores.begin(), scores.end())"
DECISION = "  Decision decision;\n"
RANGE = "value < minimum || value > maximum"
STALE = "seen_ && capture == last_capture_"


def invoke(body: str) -> tuple[Edit, ...]:
    """RunInvoke() with `body` between the model's run and the return."""
    return (
        Edit(
            PIPELINE,
            RUN_INVOKE,
            f"bool Pipeline::RunInvoke() {{\n  const bool ok = EngineInvoke().ok();\n  {body}\n  return ok;\n}}",
        ),
    )


def typed(name: str) -> Callable[[Path], None]:
    """The case becomes one of typed_cases."""

    def write(folder: Path) -> None:
        CASES[name].write(folder)

    return write


def once_in(windows: int, statement: str) -> str:
    return f"static uint32_t runs = 0; if (++runs % {windows} == 0) {{ {statement} }}\n"


SCORE = "  decision.score = scores[decision.winner];\n"
RECURSION = """\
__attribute__((noinline)) int Deep(int n) {
  volatile int frame[256];
  frame[n % 256] = n;
  return n > 0 ? Deep(n - 1) + frame[n % 256] : 0;
}

"""
HISTORY = """\
  volatile uint8_t history[9000];
  history[0] = 1;
  (void)history[0];
"""
WILD_READ = "*reinterpret_cast<volatile int8_t*>(0x60000000)"
COPY = """\
  int8_t copy[4];
  for (volatile size_t i = 0; i <= 4; i = i + 1) {
    copy[i] = scores[i % 4];
  }
  asm volatile("" ::"r"(copy) : "memory");  // so that the copy is really made
"""
FOREVER = "for (volatile int forever = 1; forever;) {}"
SYSTEM_RESET = f"*reinterpret_cast<volatile uint32_t*>(0xE000ED0C) = 0x05FA0004; {FOREVER}"
SEEN = "  seen_ = true;\n  last_capture_ = capture;\n"
SPIN = "for (volatile uint32_t i = 0; i < 30000; i = i + 1) {}"

# ---- the table -------------------------------------------------------------------------------------------------------

INPUT = (
    Defect(
        "axis_swap",
        "x and y of the accelerometer are taken for one another",
        "input.prepared",
        (
            Edit(
                PREPARE,
                LOAD,
                "LoadElement<int16_t>(window, row + (channel.source < 2 ? 1 - channel.source : channel.source))",
            ),
        ),
        stage="prepare",
        says=("axis swap",),
        quick=True,
    ),
    Defect(
        "scale_16384",
        "counts divided by 16384 in place of 32768",
        "input.prepared",
        (Edit(PREPARE, ROUND, "zero_point + ((acc + (int64_t{1} << 29)) >> 30)"),),
        stage="prepare",
        says=("scale factor",),
    ),
    Defect(
        "missing_clamp",
        "values beyond int8 wrap around",
        "input.prepared",
        (Edit(PREPARE, SCALE, "static_cast<int8_t>(q)"),),
        stage="prepare",
        says=("missing clamp",),
    ),
    Defect(
        "off_by_one_window",
        "the window starts one sample late",
        "input.prepared",
        (
            Edit(
                PREPARE,
                "static_cast<size_t>(sample) * format.channels;\n    for (size_t c",
                "static_cast<size_t>(std::min(sample + 1, format.samples - 1)) * format.channels;\n    for (size_t c",
            ),
        ),
        stage="prepare",
        says=("off-by-one window",),
    ),
    Defect(
        "input_not_written",
        "one window in 50 leaves the input tensor as it was",
        "input.prepared",
        (
            Edit(
                PIPELINE, RUN_PREPARE, f"  static uint32_t runs = 0;\n  if (++runs % 50 != 0) {{\n  {RUN_PREPARE}\n  }}"
            ),
        ),
        stage="prepare",
    ),
    Defect(
        "input_written_late",
        "the input tensor is written after the model ran",
        "input.prepared",
        (
            Edit(PIPELINE, "done = RunPrepare(window);", "done = true;"),
            Edit(PIPELINE, "done = RunInvoke();", "done = RunInvoke() && RunPrepare(window);"),
        ),
        stage="prepare",
        says=("stale input buffer",),
    ),
    Defect(
        "zero_point",
        "the zero point is off by one",
        "input.prepared",
        (Edit(PIPELINE, "bundle_->input.zero_point, input_", "bundle_->input.zero_point + 1, input_"),),
        stage="prepare",
        says=("zero point or offset",),
    ),
    Defect(
        "truncated",
        "rounds down, not to the nearest",
        "input.prepared",
        (Edit(PREPARE, ROUND, "zero_point + (acc >> 31)"),),
        stage="prepare",
        says=("rounding",),
    ),
    Defect(
        "half_away_from_zero",
        "halves round away from zero, not up; shows only where the gain makes halves",
        "input.prepared",
        (
            Edit(
                PREPARE,
                ROUND,
                "zero_point + (acc >= 0 ? (acc + (int64_t{1} << 30)) >> 31 : -((-acc + (int64_t{1} << 30)) >> 31))",
            ),
        ),
        case=HALVES,
        files=without_golden_outputs,
        stage="prepare",
        says=("rounding",),
    ),
    Defect(
        "axis_upside_down",
        "one axis has the wrong sign",
        "input.prepared",
        (Edit(PREPARE, LOAD, f"static_cast<int16_t>(channel.source == 2 ? -{LOAD} : {LOAD})"),),
        stage="prepare",
        says=("sign", "channel 2"),
    ),
    Defect(
        "channel_major",
        "the tensor is filled channel by channel",
        "input.prepared",
        (Edit(PREPARE, f"{SAMPLES}{ROW}{CHANNELS}      const Sc", f"{CHANNELS}{SAMPLES}{ROW}      const Sc"),),
        stage="prepare",
        says=("channel-major layout",),
    ),
    Defect(
        "model_requantised",
        "the model in the bundle was quantised anew, the tensor contract is the old one",
        "input.scale",
        bundle=other_input_scale,
        says=("0.25",),
    ),
    Defect(
        "gain_in_bundle",
        "one channel's gain is half of what it should be",
        "input.parameters",
        bundle=halved_gain,
        also=("input.prepared",),
        says=("gain",),
        stage="prepare",
    ),
    Defect(
        "gate_in_bundle",
        "the bundle has no flat-line rule",
        "input.parameters",
        bundle=lambda case: build_bundle(replace(case, gate=replace(case.gate, min_span=0.0))),
        also=("input.gate",),
        says=("min_span",),
        stage="gate",
    ),
)

VALIDITY = (
    Defect(
        "length_rule",
        "only windows that are too long are refused",
        "input.gate",
        (Edit(GATE, "window.size() != bytes_", "window.size() > bytes_"),),
        stage="gate",
    ),
    Defect(
        "stale_rule_skipped",
        "the capture number is not looked at",
        "input.rejects",
        (Edit(GATE, STALE, "seen_ && capture == last_capture_ && false"),),
        stage="gate",
        says=("stale",),
    ),
    Defect(
        "stale_rule_order",
        "any capture number that is not higher counts as stale",
        "input.gate",  # each session begins at the wrap
        (Edit(GATE, STALE, "seen_ && capture <= last_capture_"),),
        stage="gate",
    ),
    Defect(
        "stale_rule_zero",
        "the first window is taken for a repeat when its number is 0",
        "input.rejects",
        (Edit(GATE, STALE, "capture == last_capture_"),),
        stage="gate",
    ),
    Defect(
        "stale_rule_accepted",
        "a window that was refused as short still counts as seen",
        "input.rejects",
        (
            Edit(
                GATE,
                "  if (window.size() != ",
                f"  const bool again = {STALE};\n{SEEN}  if (window.size() != ",
            ),
            Edit(GATE, f"if ({STALE})", "if (again)"),
            Edit(GATE, f"  }}\n{SEEN}\n", "  }\n\n"),
        ),
        stage="gate",
    ),
    Defect(
        "range_rule",
        "the lower bound is not looked at",
        "input.gate",
        (
            Edit(GATE, "value < minimum || value > maximum", "value > maximum"),
            Edit(GATE, "Value minimum, Value maximum", "Value, Value maximum"),
        ),
        stage="gate",
    ),
    Defect(
        "range_rule_exclusive",
        "the bounds themselves are refused",
        "input.gate",
        (Edit(GATE, "value < minimum || value > maximum", "value <= minimum || value >= maximum"),),
        stage="gate",
    ),
    Defect(
        "range_rule_one_channel",
        "the last channel's values are not looked at",
        "input.rejects",
        (Edit(GATE, RANGE, f"i % format.channels < 5 && ({RANGE})"),),
        stage="gate",
        says=("range",),
    ),
    Defect(
        "flat_rule_skipped",
        "a dead sensor is not noticed",
        "input.gate",
        (Edit(GATE, "  if (!(min_span > 0)) {", "  if (!(min_span > 1e6)) {"),),
        stage="gate",
    ),
    Defect(
        "flat_rule_off_by_one",
        "a span of exactly min_span counts as flat",
        "input.rejects",
        (Edit(GATE, "span >= min_span", "span > min_span"),),
        stage="gate",
    ),
    Defect(
        "flat_rule_first_channel",
        "only the first channel is looked at",
        "input.rejects",
        (Edit(GATE, "channel < format.channels; ++channel", "channel < 1; ++channel"),),
        stage="gate",
    ),
    Defect(
        "labelled_after_rejection",
        "the decide stage runs on the old output when the gate refuses",
        "input.gate",
        (
            Edit(
                PIPELINE,
                "result.status = PipelineStatus::kRejected;",
                "result.status = PipelineStatus::kRejected;\n    result.decision = RunDecide(output_);",
            ),
        ),
        stage="gate",
    ),
)

EXECUTION = (
    Defect(
        "weight_bit",
        "one bit of one weight, the bundle's hash made right again",
        "execution.model",
        bundle=other_weight,
        also=("execution.output",),
        quick=True,
    ),
    Defect(
        "bit_in_flash",
        "one bit of the bundle flipped after it was made",
        "execution.bundle",
        bundle=flipped_in_flash,
        says=("status 7",),
    ),
    Defect(
        "hash_never_read",
        "the firmware does not compare the hash, and the bundle is whole",
        "execution.damaged",
        (
            Edit(
                "bundle/bundle.cpp",
                "if (std::memcmp(hash->data(), whole.data() + kHashAt, kHashBytes) != 0) {",
                "if (std::memcmp(hash->data(), whole.data() + kHashAt, 0) != 0) {",
            ),
        ),
        says=("refused with status 7",),
    ),
    Defect(
        "hash_not_verified",
        "the firmware does not compare the hash, and a bit flipped in flash",
        "execution.bundle",
        (
            Edit(
                "bundle/bundle.cpp",
                "if (std::memcmp(hash->data(), whole.data() + kHashAt, kHashBytes) != 0) {",
                "if (std::memcmp(hash->data(), whole.data() + kHashAt, 0) != 0) {",
            ),
        ),
        bundle=flipped_in_flash,
        also=("execution.model",),
    ),
    Defect(
        "other_case",
        "the bundle of another case",
        "execution.bundle",
        bundle=changed(name="other_case", version=7),
        says=("other_case",),
    ),
    Defect(
        "kernel_off_by_one",
        "a convolution adds one to every output",
        "execution.output",
        kernels=(
            Edit(
                f"{KERNELS}/conv.cc",
                "op_params.output_offset = output->params.zero_point;",
                "op_params.output_offset = output->params.zero_point + 1;",
            ),
        ),
        stage="invoke",
    ),
    Defect(
        "operator_missing",
        "the resolver does not hold SOFTMAX",
        "execution.bundle",
        (Edit(ENGINE, "    {tflite::BuiltinOperator_SOFTMAX, micro::Register_SOFTMAX},\n", ""),),
        also=("execution.operators",),
        says=("SOFTMAX",),
    ),
    Defect(
        "output_depends_on_counter",
        "one output in 97 comes from a buffer that something else uses",
        "execution.output",
        invoke(once_in(97, "const_cast<uint8_t*>(output_.data())[0] ^= 1;")),
        stage="invoke",
    ),
    Defect(
        "wrong_after_700_windows",
        "an accumulator overflows after 700 windows",
        "execution.replay",
        invoke("static uint32_t runs = 0; if (++runs > 700) { const_cast<uint8_t*>(output_.data())[1] ^= 2; }"),
        stage="invoke",
        whole=True,
    ),
    Defect(
        "invoke_fails",
        "the interpreter reports an error on one window in 200",
        "execution.complete",
        invoke("static uint32_t runs = 0; if (++runs % 200 == 0) { return false; }"),
        stage="invoke",
        quick=True,
    ),
    Defect(
        "arena_16_bytes_short",
        "the interpreter gets 16 bytes less than it needs",
        "execution.bundle",
        (Edit(PRODUCT, "bundle_.arena_bytes * kPointerRatio / kArenaAlignment * kArenaAlignment;", "needed - 16;"),),
        also=("execution.arena",),
        says=("status 34",),
    ),
    Defect(
        "write_past_arena",
        "a kernel writes one byte behind the arena",
        "execution.canaries",
        (Edit(ENGINE, ENGINE_INVOKE, ENGINE_INVOKE + "  engine_arena.data()[engine_arena.size()] = 0;\n"),),
        stage="invoke",
        says=("above the arena",),
    ),
    Defect(
        "write_before_arena",
        "a kernel writes one byte before the arena",
        "execution.canaries",
        (Edit(ENGINE, ENGINE_INVOKE, ENGINE_INVOKE + "  engine_arena.data()[-1] = 0;\n"),),
        stage="invoke",
        says=("below the arena",),
        board="qemu",
    ),
    Defect(
        "stack_overflow",
        "decide recurses too deep for one class",
        "execution.fault",
        (
            Edit(DECIDE, "Decision ArgmaxRun(", RECURSION + "Decision ArgmaxRun("),
            Edit(DECIDE, SCORE, SCORE + "  decision.score += decision.winner == 1 ? Deep(2000) * 0 : 0;\n"),
        ),
        stage="fault",
        says=("stack overflow", "decide"),
    ),
    Defect(
        "wild_pointer",
        "one class reads from an address that is no memory",
        "execution.fault",
        (Edit(DECIDE, SCORE, SCORE + f"  decision.score += decision.winner == 3 ? {WILD_READ} : 0;\n"),),
        board="qemu",
        stage="fault",
        says=("bus fault", "decide"),
    ),
    Defect(
        "out_of_bounds_write",
        "decide copies one score too many into a local array",
        "execution.fault",
        (
            Edit(
                DECIDE,
                SCORE,
                SCORE + COPY,
            ),
        ),
        stage="fault",
        says=("sanitizer report", "decide"),
    ),
    Defect(
        "endless_loop",
        "decide never ends on one window in 100",
        "execution.fault",
        (Edit(DECIDE, DECISION, DECISION + "  " + once_in(100, FOREVER)),),
        board="qemu",
        stage="fault",
        says=("deadline missed", "decide"),
    ),
    Defect(
        "resets_itself",
        "one window in 400 resets the core: once a pass, so that times behind it are compared; starts are not counted",
        "execution.fault",
        (
            Edit(
                DECIDE,
                DECISION,
                DECISION
                + "  "
                + once_in(
                    400,
                    SYSTEM_RESET,
                ),
            ),
            Edit("testmode/service.cpp", "  hil_boot_count = hil_boot_count + 1;\n", ""),
        ),
        board="qemu",
        stage="fault",
        says=("reset", "its start counter did not move"),
    ),
    Defect(
        "ends_itself",
        "one window in 100 ends the program",
        "execution.fault",
        (
            Edit(DECIDE, DECISION, DECISION + "  " + once_in(100, "std::_Exit(0);")),
            Edit(DECIDE, "#include <algorithm>\n", "#include <algorithm>\n#include <cstdlib>\n"),
        ),
        stage="fault",
    ),
)

DECISION_ROWS = (
    Defect(
        "at_threshold",
        "a score equal to the raw threshold is accepted",
        "decision.answer",
        (Edit(DECIDE, "decision.score <= bar", "decision.score < bar"),),
        stage="decide",
        quick=True,
        whole=True,
    ),
    Defect(
        "threshold_unit",
        "the threshold in the bundle is in percent, not a raw score",
        "decision.parameters",
        bundle=decides(threshold=60, release=60),
        also=("decision.answer",),
        says=("threshold", "60", "25"),
        stage="decide",
        whole=True,
    ),
    Defect(
        "debounce_in_bundle",
        "the bundle asks for one window more",
        "decision.parameters",
        bundle=decides(debounce=2),
        says=("debounce",),
        stage="decide",
    ),
    Defect(
        "label_map_shifted",
        "the labels in the bundle are rotated by one",
        "decision.labels",
        bundle=relabelled,
        also=("decision.answer",),
        stage="decide",
    ),
    Defect(
        "label_lookup_shifted",
        "the firmware looks the text up one place too far",
        "decision.answer",
        (
            Edit(
                PIPELINE,
                "bundle_->labels[static_cast<size_t>(answer)]",
                "bundle_->labels[(static_cast<size_t>(answer) + 1) % bundle_->label_count]",
            ),
        ),
        stage="decide",
    ),
    Defect(
        "label_truncated",
        "label texts are cut to 7 characters",
        "decision.labels",
        (
            Edit(
                "bundle/bundle.cpp",
                "bundle->labels[i] = ToText(meta.bundle_meta_labels_label[i]);",
                "bundle->labels[i] = ToText(meta.bundle_meta_labels_label[i]).first(7);",
            ),
        ),
        also=("decision.answer",),
        stage="decide",
    ),
    Defect(
        "tie_to_the_last",
        "of equal scores the last wins",
        "decision.answer",
        (
            Edit(
                DECIDE,
                ARGMAX,
                "std::max_element(scores.begin(), scores.end(), [](int8_t a, int8_t b) { return a <= b; })",
            ),
        ),
        stage="decide",
        also=("decision.ties",),
        whole=True,
    ),
    Defect(
        "unsigned_scores",
        "raw scores are compared as unsigned bytes",
        "decision.answer",
        (
            Edit(
                DECIDE,
                ARGMAX,
                "std::max_element(scores.begin(), scores.end(), [](uint8_t a, uint8_t b) { return a < b; })",
            ),
        ),
        stage="decide",
    ),
    Defect(
        "decides_too_early",
        "the output tensor is read before the model runs",
        "decision.answer",
        (
            Edit(PIPELINE, "done = RunInvoke();", "result.decision = RunDecide(output_);\n    done = RunInvoke();"),
            Edit(
                PIPELINE,
                "    result.decision = RunDecide(output_);\n  }\n  result.status = PipelineStatus::kDone;",
                "  }\n  result.status = PipelineStatus::kDone;",
            ),
        ),
        stage="decide",
    ),
    Defect(
        "no_hysteresis",
        "the active label must reach the threshold again",
        "decision.stream",
        (
            Edit(
                DECIDE,
                "decision.winner == state->active ? parameters.release : parameters.threshold",
                "parameters.threshold",
            ),
        ),
        case=STREAMING,
        stage="decide",
    ),
    Defect(
        "debounce_off_by_one",
        "a new label must win one window more",
        "decision.threshold",
        (
            Edit(
                DECIDE,
                "decision.winner != state->active && state->run < parameters.debounce",
                "decision.winner != state->active && state->run <= parameters.debounce",
            ),
            Edit(DECIDE, "state->run < parameters.debounce ? state->run + 1 : parameters.debounce", "state->run + 1"),
        ),
        case=STREAMING,
        stage="decide",
    ),
    Defect(
        "cooldown_off_by_one",
        "one window more without an answer",
        "decision.stream",
        (Edit(DECIDE, "state->cool = parameters.cooldown;", "state->cool = parameters.cooldown + 1;"),),
        case=STREAMING,
        stage="decide",
    ),
    Defect(
        "cooldown_frozen",
        "the cooldown does not run while nothing wins",
        "decision.stream",
        (Edit(DECIDE, "    state->cool -= state->cool > 0 ? 1 : 0;\n", ""),),
        case=STREAMING,
        stage="decide",
    ),
    Defect(
        "state_not_reset",
        "a new stream starts with the old candidate",
        "decision.answer",
        (
            Edit(
                PIPELINE,
                "  decide_state_ = {};\n  if (configured()) {",
                "  decide_state_.cool = 0;\n  if (configured()) {",
            ),
        ),
        case=STREAMING,
        stage="decide",
    ),
    Defect(
        "rejection_resets_state",
        "a refused window clears the decision state",
        "decision.stream",
        (
            Edit(
                PIPELINE,
                "result.status = PipelineStatus::kRejected;",
                "result.status = PipelineStatus::kRejected;\n    decide_state_ = {};",
            ),
        ),
        case=STREAMING,
        stage="decide",
    ),
)

COST = (
    Defect(
        "slow_path",
        "one window in 100 takes a slow path",
        "latency.total.p99",
        (Edit(DECIDE, DECISION, DECISION + "  " + once_in(100, SPIN)),),
        files=tight_budget,
        board="qemu",
        stage="decide",
        says=("decide",),
    ),
    Defect(
        "slow_gate",
        "the validity gate got slow",
        "latency.total.p99",
        (Edit(GATE, "  if (window.size() != ", f"  {SPIN * 4}\n  if (window.size() != "),),
        files=tight_budget,
        board="qemu",
        stage="prepare",
    ),
    Defect(
        "arena_as_scratch",
        "a stage uses the free part of the arena for itself",
        "memory.arena_headroom",
        (
            Edit(
                ENGINE,
                ENGINE_INVOKE,
                ENGINE_INVOKE + "  std::memset(EngineArenaUnused().data(), 0, EngineArenaUnused().size() - 128);\n",
            ),
        ),
        board="qemu",
    ),
    Defect(
        "big_frame",
        "decide keeps a history on the stack",
        "memory.stack",
        (Edit(DECIDE, DECISION, DECISION + HISTORY),),
        board="qemu",
    ),
    Defect(
        "static_buffer",
        "a buffer was moved from the stack to static RAM",
        "memory.ram",
        (
            Edit(
                DECIDE,
                DECISION,
                DECISION
                + "  static volatile uint8_t history[64 * 1024];\n  history[state->run % sizeof(history)] = 1;\n",
            ),
        ),
        board="qemu",
    ),
    Defect(
        "big_table",
        "a lookup table fills the flash",
        "memory.flash",
        (
            Edit(
                DECIDE,
                DECISION,
                DECISION + "  static const volatile uint8_t table[400000] = {1, 2, 3};\n  (void)table[state->run];\n",
            ),
        ),
        board="qemu",
    ),
)

# No mistake: what the rows above are held against.
# Ends of other types than int8 (typed_cases).
TYPES = (
    Defect(
        "uint8_scores_as_int8",
        "the decide stage takes uint8 scores for int8",
        "decision.answer",
        (Edit(DECIDE, FACTS, "  type = type == ElementType::kUint8 ? ElementType::kInt8 : type;\n" + FACTS),),
        files=typed("uint8 to uint8"),
        stage="decide",
        also=("decision.threshold", "decision.stream"),
    ),
    Defect(
        "uint8_tensor_as_int8",
        "the prepare stage clamps a uint8 tensor at the ends of int8",
        "input.prepared",
        (
            Edit(
                PREPARE, "facts_(Facts(type))", "facts_(Facts(type == ElementType::kUint8 ? ElementType::kInt8 : type))"
            ),
        ),
        files=typed("scale to uint8, uint8 output"),
        stage="prepare",
    ),
    Defect(
        "int16_clamped_at_8_bits",
        "the prepare stage clamps an int16 tensor at the ends of int8",
        "input.prepared",
        (Edit(PREPARE, "(q, facts_.lowest, facts_.highest)", "(q, -128, 127)"),),
        files=typed("scale to int16"),
        stage="prepare",
        says=("other clamp", "-128 and 127"),
    ),
    Defect(
        "float_edge_without_zero_point",
        "the DEQUANTIZE kernel at the output leaves the zero point out",
        "execution.output",
        kernels=(Edit(f"{KERNELS}/dequantize.cc", "op_params.zero_point = input->params.zero_point", NO_ZERO_POINT),),
        files=typed("float32 edges"),
        stage="invoke",
        says=("ULP",),
    ),
    Defect(
        "float_scores_as_bits",
        "the decide stage compares the bits of float32 scores as integers",
        "decision.ties",
        (Edit("pipeline/element_type.cpp", "RankOfFloat(LoadElement<int32_t>(elements, index))", BITS),),
        files=typed("float32 output"),
        stage="decide",
    ),
    Defect(
        "no_number_let_through",
        "a score that is no number is compared like any other",
        "decision.stream",
        (Edit(DECIDE, "best.numbers && score >= facts.lowest && score <= facts.highest", "true"),),
        files=typed("float32 output"),
        stage="decide",
    ),
)

CONTROLS = (
    Defect("clean_native", "nothing", "", own_image=True),
    Defect("clean_qemu", "nothing", "", own_image=True, board="qemu"),
    Defect("clean_streaming_native", "nothing", "", case=STREAMING),
    Defect("clean_streaming_qemu", "nothing", "", case=STREAMING, board="qemu"),
    Defect("clean_halves", "nothing", "", case=HALVES, files=without_golden_outputs),
    Defect("clean_uint8", "nothing", "", files=typed("uint8 to uint8")),
    Defect("clean_float_edges", "nothing", "", files=typed("float32 edges"), board="qemu"),
    Defect("clean_budget", "nothing", "", files=tight_budget, board="qemu"),
)

DEFECTS = (*INPUT, *VALIDITY, *EXECUTION, *DECISION_ROWS, *COST, *TYPES)
