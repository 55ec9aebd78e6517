"""A firmware that is not ours, and shares nothing with ours but the agent, is judged as ours is: on an emulator over a
UART and behind a probe over rings in RAM; and what is wrong with it is blamed on the stage in which it is.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from c_bare_bench import ENVIRONMENT, EXAMPLE, TARGETS, Mistake, built, copy_of, shorten, verdicts
from harness_process import PASSED, run_harness

from hil.contract.types import Outcome

pytestmark = pytest.mark.slow

FRONT_END, NETWORK, DECIDE, PRODUCT = "src/front_end.c", "src/network.c", "src/decide.c", "src/product.c"

# What is wrong, and the first check that must say so.
MISTAKES = {
    "statistics_of_another_channel": (
        "input.prepared",
        Mistake(FRONT_END, "statistics_of(window, channel, s", "statistics_of(window, (channel + 1u) % CHANNELS, s"),
    ),
    "variance_with_the_mean_in_it": ("input.prepared", Mistake(FRONT_END, " - (int64_t)sum * sum", "")),
    "mean_rounded_to_zero": (
        "input.prepared",
        Mistake(
            FRONT_END, "floor_divide(2 * sum + SAMPLES, 2 * SAMPLES)", "floor_divide(sum, SAMPLES) * 0 + sum / SAMPLES"
        ),
    ),
    "zero_point_of_the_input": (
        "input.prepared",
        Mistake(FRONT_END, "+ model_input.zero_point", "+ model_input.zero_point + 1"),
    ),
    "window_of_before": (
        "input.prepared",
        Mistake(
            PRODUCT,
            "  front_end(window, self.input);\n",
            "  static uint8_t last[2 * SAMPLES * CHANNELS];\n  front_end(last, self.input);\n"
            "  (void)memcpy(last, window, sizeof last);\n",
        ),
    ),
    "no_saturation": (
        "input.prepared",
        Mistake(
            FRONT_END, "(int8_t)(value > INT8_MAX ? INT8_MAX : value < INT8_MIN ? INT8_MIN : value)", "(int8_t)value"
        ),
    ),
    "weights_transposed": (
        "execution.output",
        Mistake(NETWORK, "row * self->inputs + i]", "i * self->outputs + row]"),
    ),
    "bias_of_the_next_row": (
        "execution.output",
        Mistake(NETWORK, "self->bias[row]", "self->bias[(row + 1u) % self->outputs]"),
    ),
    "zero_point_of_a_layer": (
        "execution.output",
        Mistake(NETWORK, "(input[i] - self->input_zero)", "(input[i] - self->input_zero - 1)"),
    ),
    "rounded_down": ("execution.output", Mistake(NETWORK, "(rest > half ? 1 : 0)", "(rest > half ? 0 : 0)")),
    "output_of_before": (
        "execution.output",
        Mistake(
            PRODUCT,
            "    record->output.data = (const uint8_t*)self.output;\n",
            "    static int8_t sent[LABELS], last[LABELS];\n    (void)memcpy(sent, last, LABELS);\n"
            "    (void)memcpy(last, self.output, LABELS);\n    record->output.data = (const uint8_t*)sent;\n",
        ),
    ),
    "another_model_than_it_says": (
        "execution.model",
        Mistake(PRODUCT, "  facts->case_name", "  facts->model_hash[0] ^= 1u;\n  facts->case_name"),
    ),
    "labels_in_another_order": (
        "decision.answer",
        Mistake(PRODUCT, "text_of(labels[found->answer])", "text_of(labels[(found->answer + 1) % LABELS])"),
    ),
    "threshold": ("decision.answer", Mistake(DECIDE, ": score_threshold;", ": score_threshold + 8;")),
    "no_hysteresis": (
        "decision.answer",
        Mistake(DECIDE, "found.winner == state->active ? score_release : score_threshold", "score_threshold"),
    ),
    "no_debounce": ("decision.answer", Mistake(DECIDE, "state->run < debounce) {", "state->run < 1u) {")),
    "behaves_in_test_mode_only": (
        "execution.plain",
        Mistake(
            PRODUCT,
            "  const uint32_t ticks = board_ticks() - start;",
            "  self.output[0] = (int8_t)(self.output[0] + 1);\n  const uint32_t ticks = board_ticks() - start;",
        ),
    ),
}


SHOWS_LATE = ("no_hysteresis", "no_saturation")  # on few windows


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that is built for both boards."""
    copy = copy_of(EXAMPLE, tmp_path_factory.mktemp("right"))
    for board in TARGETS:
        built(copy, board)
    return copy


@pytest.fixture(scope="module")
def short(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another with every third vector: as few as a 95th percentile can be bounded with."""
    copy = copy_of(example, tmp_path_factory.mktemp("short"))
    shorten(copy, 3)
    return copy


@pytest.mark.parametrize("board", list(TARGETS))
def test_it_passes_as_a_user_runs_it(board: str, example: Path, tmp_path: Path) -> None:
    """The board file builds it. Whatever can be judged of a firmware without self-tests and marks is judged."""
    copy = copy_of(example, tmp_path)
    done = run_harness(
        tmp_path, copy / "case" / "case.toml", f"--hil-boards={copy / 'boards'}", board=board, env=ENVIRONMENT
    )
    assert done.code == PASSED, done.text
    (ran,) = done.run["cases"]
    outcomes = {check["id"]: check["outcome"] for check in ran["checks"]}
    for check in (
        "input.prepared",
        "input.gate",
        "execution.output",
        "execution.model",
        "execution.plain",
        "decision.answer",
        "decision.threshold",
        "agreement.top1",
        "latency.total.p95",
        "memory.flash",
        "memory.ram",
    ):
        assert outcomes[check] == "passed", f"{check}: {outcomes[check]}"


def test_the_short_one_fails_no_check(short: Path, tmp_path: Path) -> None:
    """So that what fails with a mistake fails by the mistake."""
    results = verdicts(copy_of(short, tmp_path), "bare-qemu")
    assert [result.check for result in results if result.outcome is Outcome.FAILED] == []


@pytest.mark.parametrize("name", list(MISTAKES))
def test_a_mistake_is_blamed_on_its_stage(name: str, example: Path, short: Path, tmp_path: Path) -> None:
    check, mistake = MISTAKES[name]
    results = verdicts(copy_of(example if name in SHOWS_LATE else short, tmp_path, mistake), "bare-qemu")
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    assert failed, f"{name}: nothing failed"
    assert failed[0].check == check, [result.check for result in failed]
