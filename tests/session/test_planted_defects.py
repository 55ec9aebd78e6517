"""Mistakes planted into the real firmware, of the kinds that only the harness's own stimuli find: each is found, by the
check that names its stage. One build holds all of them; the environment says which of them is on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from firmware_copy import Edits, FirmwareCopy
from native_session import imu_motion, native_board, with_vectors

from hil.case.types import Case, Channel, Decide, Gate, Prepare, SoakLimits, Vectors, Window
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult, Outcome
from hil.image.elf import Image
from hil.session import run_case

pytestmark = pytest.mark.slow

PLANTED = """\
#include <cmath>
#include <cstdlib>
#include <cstring>
namespace {
inline bool Planted(const char* name) {
  static const char* const planted = std::getenv("HIL_PLANTED");
  return planted != nullptr && std::strcmp(planted, name) == 0;
}
}  // namespace
"""

SCALE = "      out.Put(ScaleOne(LoadElement<int16_t>(window, row + channel.source), channel, zero_point));\n"
SCALE_PLANTED = """\
      const int16_t count = LoadElement<int16_t>(window, row + channel.source);
      const size_t element = sample * parameters.channel_count + c;
      int8_t* const place = reinterpret_cast<int8_t*>(tensor.data()) + element;
      const int8_t before = *place;
      const double lsb = (static_cast<double>(count) - channel.offset) * channel.gain / 2147483648.0;
      int64_t q = std::clamp<int64_t>(ScaleOne(count, channel, zero_point), -128, 127);
      if (Planted("ties away from zero")) {
        q = std::clamp<int64_t>(zero_point + std::llround(lsb), -128, 127);
      }
      if (Planted("no clamp for one in 64") && element % 64 == 63) {
        q = static_cast<int8_t>(static_cast<int64_t>(zero_point + std::floor(lsb + 0.5)) & 0xFF);
      }
      if (Planted("no clamp in the last sample") && sample + 1 == format.samples) {
        q = static_cast<int8_t>(static_cast<int64_t>(zero_point + std::floor(lsb + 0.5)) & 0xFF);
      }
      out.Put(q);
      if (Planted("one in 64 skipped at its end") && element % 64 == 63 && q == 127) {
        *place = before;
      }
"""
QUANTIZE = "    out.Put(zero_point + static_cast<int64_t>(static_cast<int32_t>(std::floor(y + 0.5f))));\n"
QUANTIZE_PLANTED = """\
    const float x = LoadElement<float>(window, i);
    float sum = y + 0.5f;
    if (Planted("fused multiply-add")) {
      sum = std::clamp(std::fma(x, parameters.factor, 0.5f), -1024.0f, 1024.0f);
    }
    if (Planted("division")) {
      sum = std::clamp(x / (1.0f / parameters.factor), -1024.0f, 1024.0f) + 0.5f;
    }
    const double wide = std::clamp(static_cast<double>(x) * parameters.factor, -1024.0, 1024.0) + 0.5;
    const double floored = Planted("double") ? std::floor(wide) : std::floor(sum);
    out.Put(zero_point + static_cast<int64_t>(floored));
"""
RANGE = "    if (value < minimum || value > maximum) {\n"
RANGE_PLANTED = """\
    if (Planted("range skips one in 64") && i % 64 == 37) {
      continue;
    }
    if (value < minimum || value > maximum) {
"""
SPAN = "  for (uint32_t channel = 0; channel < format.channels; ++channel) {\n"
SPAN_PLANTED = '  const uint32_t seen = format.samples - (Planted("flat skips the last sample") ? 1 : 0);\n' + SPAN
STALE = "  if (seen_ && capture == last_capture_) {\n"
STALE_PLANTED = """\
  const uint32_t mask = Planted("capture in 16 bits") ? 0xFFFF : 0xFFFFFFFF;
  if (seen_ && ((capture ^ last_capture_) & mask) == 0) {
"""
REJECT = "  if (result.gate != GateReason::kValid) {\n"
REJECT_PLANTED = (
    """\
  static uint32_t refused_in_a_row = 0;
  refused_in_a_row = result.gate == GateReason::kValid ? 0 : refused_in_a_row + 1;
  if (Planted("refusals saturate at 64") && refused_in_a_row > 64 && result.gate == GateReason::kRange) {
    result.gate = GateReason::kValid;
  }
  if (Planted("cooldown counts refusals") && result.gate == GateReason::kFlat && decide_state_.cool > 0) {
    --decide_state_.cool;
  }
"""
    + REJECT
)
INVOKE = "bool Pipeline::RunInvoke() { return EngineInvoke().ok(); }"
INVOKE_PLANTED = """\
bool Pipeline::RunInvoke() {
  static uint8_t begin[16], end[16];
  static uint32_t sum_before = 0;
  uint32_t sum = 0;
  for (const uint8_t byte : input_) {
    sum += byte;
  }
  const uint8_t* const last = input_.data() + input_.size() - sizeof(end);
  const bool begins = std::memcmp(begin, input_.data(), sizeof(begin)) == 0;
  const bool ends = std::memcmp(end, last, sizeof(end)) == 0;
  const bool sums = sum == sum_before;
  std::memcpy(begin, input_.data(), sizeof(begin));
  std::memcpy(end, last, sizeof(end));
  sum_before = sum;
  if ((Planted("skipped where the tensor begins alike") && begins) ||
      (Planted("skipped where the tensor ends alike") && ends) ||
      (Planted("skipped where the tensor has the same sum") && sums)) {
    return true;
  }
  const bool ok = EngineInvoke().ok();
  static uint32_t windows = 0;
  static int8_t before = 0;
  int8_t* const output = reinterpret_cast<int8_t*>(const_cast<uint8_t*>(output_.data()));
  const int8_t first = output[0];
  ++windows;
  if (Planted("first window wrong") && windows == 1) {
    output[0] = static_cast<int8_t>(output[0] ^ 1);
  }
  if (Planted("one LSB by the window before") && before > 0) {
    output[1] = static_cast<int8_t>(output[1] ^ 1);
  }
  if (Planted("wrong from window 1300 on") && windows >= 1300) {
    output[0] = static_cast<int8_t>(~output[0]);
  }
  before = first;
  return ok;
}"""
RUN = "    state->run = state->run < parameters.debounce ? state->run + 1 : parameters.debounce;\n"
RUN_PLANTED = """\
    if (Planted("debounce counts in 8 bits")) {
      state->run = (state->run + 1) & 0xFF;
    } else {
      state->run = state->run < parameters.debounce ? state->run + 1 : parameters.debounce;
    }
"""
ACTIVE = "  state->active = decision.winner;\n"
ACTIVE_PLANTED = (
    """\
  static uint32_t held = 0;
  held = state->active == decision.winner ? held + 1 : 0;
  if (Planted("tired of a held label") && held >= 1500) {
    decision.reason = DecisionReason::kBelowThreshold;
    return decision;
  }
"""
    + ACTIVE
)


def included(name: str) -> tuple[str, str]:
    line = f'#include "pipeline/{name}.h"\n'
    return line, line + PLANTED


EDITS: Edits = {
    "pipeline/prepare.cpp": [included("prepare"), (SCALE, SCALE_PLANTED), (QUANTIZE, QUANTIZE_PLANTED)],
    "pipeline/gate.cpp": [
        included("gate"),
        (RANGE, RANGE_PLANTED),
        (SPAN, SPAN_PLANTED),
        ("sample < format.samples; ++sample", "sample < seen; ++sample"),
        (STALE, STALE_PLANTED),
    ],
    "pipeline/pipeline.cpp": [included("pipeline"), (REJECT, REJECT_PLANTED), (INVOKE, INVOKE_PLANTED)],
    "pipeline/decide.cpp": [included("decide"), (RUN, RUN_PLANTED), (ACTIVE, ACTIVE_PLANTED)],
}


@pytest.fixture(scope="module")
def image(firmware_copy: FirmwareCopy) -> Image:
    return firmware_copy.image("planted", EDITS)


# ---- cases whose own vectors find none of it -------------------------------------------------------------------------


def usual() -> Case:
    """Forty vectors of imu_motion, sorted by class."""
    whole = imu_motion()
    label = whole.vectors.label
    assert label is not None
    valid = [index for index in range(len(whole.vectors)) if not (whole.vectors.reject or ())[index]]
    rows = [index for each in range(4) for index in [i for i in valid if label[i] == each][:10]]
    case = with_vectors(whole, rows)
    return replace(case, contracts=replace(case.contracts, replays=3, agreement={}, accuracy=None, latency=()))


def loosely() -> Case:
    case = usual()
    return replace(case, contracts=replace(case.contracts, lsb=1))


def scaled() -> Case:
    """A count is 1/512 of an LSB, and no vector holds a tie or a value near a clamp."""
    case = usual()
    channels = tuple(Channel(source, 0, 1 << 22) for source in range(6))
    windows = np.random.default_rng(5).integers(-20_000, 20_000, (20, 40, 6)).astype(np.int16)
    windows[windows.astype(int) % 512 == 256] += 1
    vectors = Vectors(windows, names=tuple(f"made_{number}" for number in range(20)))
    return replace(case, prepare=Prepare("scale", 1, channels), vectors=vectors, float_model=None)


def quantized() -> Case:
    """Physical units, far from all ties."""
    case = usual()
    scale = np.float32(case.model.input.quantisation.scale)
    factor = float(np.float32(1) / scale)
    steps = np.random.default_rng(5).integers(-90, 90, (20, 40, 6)) + 0.25
    vectors = Vectors((steps * float(scale)).astype(np.float32), names=tuple(f"made_{number}" for number in range(20)))
    limit = float(np.float32(1e6))
    return replace(
        case,
        window=Window("float32", 40, 6),
        gate=Gate(-limit, limit, 0.0),
        prepare=Prepare("quantize", 1, factor=factor),
        vectors=vectors,
        float_model=None,
    )


def deciding(**fields: int) -> Callable[[], Case]:
    def make() -> Case:
        case = usual()
        decide: Decide = replace(case.decide, **fields)
        return replace(case, decide=decide)

    return make


def soaked() -> Case:
    case = usual()
    return replace(case, contracts=replace(case.contracts, soak=SoakLimits(1500)))


@dataclass(frozen=True)
class Defect:
    """check: the first that fails. says: texts of its findings."""

    name: str
    check: str
    case: Callable[[], Case] = usual
    says: tuple[str, ...] = ()


DEFECTS = (
    Defect("ties away from zero", "input.rejects", scaled, ("ties rounded away from zero",)),
    Defect("no clamp for one in 64", "input.rejects"),
    Defect("no clamp in the last sample", "input.rejects", usual, ("[sample 39, channel",)),
    Defect("one in 64 skipped at its end", "input.rejects"),
    Defect("fused multiply-add", "input.rejects", quantized, ("fused multiply-add",)),
    Defect("division", "input.rejects", quantized, ("divided by the reciprocal of the factor",)),
    Defect("double", "input.rejects", quantized, ("computed in double",)),
    Defect("range skips one in 64", "input.rejects", usual, ("value [6, 1] below the range",)),
    Defect("flat skips the last sample", "input.rejects", usual, ("value [39, ",)),
    Defect("capture in 16 bits", "input.rejects", usual, ("capture number that differs in bit 16",)),
    Defect("refusals saturate at 64", "input.rejects"),
    Defect(
        "cooldown counts refusals",
        "decision.stream",
        deciding(debounce=2, cooldown=3),
        ("after a window refused as flat",),
    ),
    Defect("debounce counts in 8 bits", "decision.stream", deciding(debounce=2, cooldown=300)),
    Defect("tired of a held label", "decision.stream", usual, ("stream held step 1500",)),
    Defect("first window wrong", "execution.history", usual, ("as the first window after a start",)),
    Defect("skipped where the tensor begins alike", "execution.history", usual, ("shares its first half with it",)),
    Defect("skipped where the tensor ends alike", "execution.history", usual, ("shares its last half with it",)),
    Defect("skipped where the tensor has the same sum", "execution.history", usual, ("in another order with it",)),
    Defect("one LSB by the window before", "execution.repeat", loosely, ("depends on the window before", "after 39:")),
    Defect("wrong from window 1300 on", "soak.output", soaked, ("in window 1,300", "wrong from some window on")),
)
FOLLOW = {  # checks that may fail behind the first
    "one LSB by the window before": {"execution.history", "execution.replay", "execution.plain"},
    "first window wrong": {"execution.probes"},
}


def failed(case: Case, image: Image, folder: Path) -> list[CheckResult]:
    with native_board(folder) as board:
        evidence = run_case(case, board, image).evidence
    return [result for check in checks_for(case) if (result := judge(check, evidence)).outcome is Outcome.FAILED]


@pytest.mark.parametrize("make", [usual, loosely, scaled, quantized, deciding(debounce=2, cooldown=300), soaked])
def test_nothing_is_said_of_the_same_firmware_with_all_of_them_off(
    make: Callable[[], Case], image: Image, tmp_path: Path
) -> None:
    assert [str(finding) for result in failed(make(), image, tmp_path) for finding in result.findings] == []


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_it_is_found_and_blamed_on_its_stage(
    defect: Defect, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIL_PLANTED", defect.name)
    broken = failed(defect.case(), image, tmp_path)
    assert broken, "nothing failed"
    finding = broken[0].findings[0]
    assert broken[0].check == defect.check, finding
    text = "\n".join(str(finding) for finding in broken[0].findings)
    assert [part for part in defect.says if part not in text] == [], text
    others = {result.check for result in broken[1:]} - {"execution.probes"}
    assert others <= FOLLOW.get(defect.name, set()), others
