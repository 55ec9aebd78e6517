"""The seeded regressions of the firmware: one row each, with what a developer changed and what must be said of it."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_workbench import KERNELS, Edit

PREPARE, DECIDE, PIPELINE = "pipeline/prepare.cpp", "pipeline/decide.cpp", "pipeline/pipeline.cpp"
ENGINE = "tflm/engine_2020.cpp"
LATENCY = "baseline.latency."


@dataclass(frozen=True)
class Regression:
    """checks: all that must fail, in the order of blame. stage: what the first finding of each latency check names.

    says: texts of the first finding of the first check; silent: texts that must not be there. explained: checks that
    are left to those that failed. edits: of the firmware's sources; kernels: of TFLM's.
    """

    name: str
    change: str
    checks: tuple[str, ...]
    edits: tuple[Edit, ...] = ()
    kernels: tuple[Edit, ...] = ()
    says: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(check.removeprefix(LATENCY) for check in self.checks if check.startswith(LATENCY))


def slower(*stages: str) -> tuple[str, ...]:
    return tuple(LATENCY + stage for stage in stages)


TOTAL = (f"{LATENCY}total",)
CONFIGURE = "  input_ = input;\n  output_ = output;\n"  # runs once, when a bundle is accepted: no stage's time
PROCESS = "  PipelineResult result;\n  if (!configured()) {"
BELOW = "  if (decision.score <= bar) {\n"
TABLE = '  static const uint8_t table[2048] = {1, 2, 3};\n  asm volatile("" ::"r"(table));\n'  # so that it is kept
# In a register that calls may change anyway, so that the code of all other windows stays as it is.
WAIT = '    asm volatile("mov r12, #300\\n1: subs r12, r12, #1\\nbne 1b" ::: "r12", "cc");\n'

REGRESSIONS = (
    Regression(
        "slower_prepare",
        "one more pass over the window",
        slower("prepare"),
        edits=(
            Edit(
                PREPARE,
                "  Writer out(type, tensor);\n",
                "  Writer out(type, tensor);\n  volatile int32_t sum = 0;\n"
                "  for (size_t i = 0; i < tensor.size(); ++i) {\n"
                "    sum = sum + LoadElement<int16_t>(window, i);\n  }\n",
            ),
        ),
        says=("p50", "p99", "another image"),
        silent=("clock", "CONV_2D"),
        explained=TOTAL,
    ),
    Regression(
        "slower_kernel",
        "the reference kernel of CONV_2D loops 2,000 times more",
        slower("invoke"),
        kernels=(
            Edit(
                f"{KERNELS}/conv.cc",
                "  op_params.input_offset = -input->params.zero_point;\n  op_params.output_offset",
                "  for (volatile int i = 0; i < 2000; i = i + 1) {\n  }\n"
                "  op_params.input_offset = -input->params.zero_point;\n  op_params.output_offset",
            ),
        ),
        says=("p50", "most grew CONV_2D #", "another image"),
        silent=("SOFTMAX", "FULLY_CONNECTED", "clock"),
        explained=TOTAL,
    ),
    Regression(
        "slow_path",
        "a window below the threshold, one in a hundred, takes a slow path",
        slower("decide"),
        edits=(Edit(DECIDE, BELOW, BELOW + WAIT),),
        says=("p99", "max", "6 of 523 windows slower"),
        silent=("p50", "p95"),
        explained=TOTAL,
    ),
    Regression(
        "slower_decide",
        "decide looks at the scores ten times",
        slower("decide"),
        edits=(
            Edit(
                DECIDE,
                "  Decision decision;\n",
                "  Decision decision;\n  for (volatile int i = 0; i < 10; i = i + 1) {\n  }\n",
            ),
        ),
        says=("p50", "p99", "another image"),
        explained=TOTAL,
    ),
    Regression(
        "more_arena",
        "an operator keeps 64 bytes more",
        ("baseline.arena",),
        edits=(
            Edit(
                ENGINE,
                "  return TheReporter().out_of_memory() ? kTfLiteError : original_prepare[kIndex](context, node);",
                "  void* more = nullptr;\n"
                "  if (kOperators[kIndex].code == tflite::BuiltinOperator_SOFTMAX) {\n"
                "    context->AllocatePersistentBuffer(context, 64, &more);\n  }\n"
                "  return TheReporter().out_of_memory() ? kTfLiteError : original_prepare[kIndex](context, node);",
            ),
        ),
        says=("(+64)", "persistent buffers"),
    ),
    Regression(
        "more_flash",
        "a table of 2 kB",
        ("baseline.flash",),
        edits=(
            Edit(
                PIPELINE,
                CONFIGURE,
                CONFIGURE + TABLE,
            ),
        ),
        says=("image flash", "map files"),
    ),
    Regression(
        "more_stack",
        "a frame of 512 bytes below all stages",
        ("baseline.stack",),
        edits=(
            Edit(PIPELINE, PROCESS, f"  volatile uint8_t frame[512];\n  frame[0] = 1;\n  (void)frame[0];\n{PROCESS}"),
        ),
        says=("stack high water", "-fstack-usage"),
    ),
    Regression(
        "more_ram",
        "a static buffer of 512 bytes",
        ("baseline.ram",),
        edits=(
            Edit(
                PIPELINE,
                CONFIGURE,
                f"{CONFIGURE}  static volatile uint8_t history[512];\n  history[0] = 1;\n  (void)history[0];\n",
            ),
        ),
        says=("(+512)", "map files"),
    ),
    # The last: everything is compiled for it, and again for whatever would come after it.
    Regression(
        "other_flags",
        "-Os in place of -O2",
        slower("prepare", "invoke", "decide"),
        edits=(Edit("port/cortex-m4/cortex-m4.cmake", "set(HIL_OPTIMISATION -O2 -g)", "set(HIL_OPTIMISATION -Os -g)"),),
        says=("other compiler flags (without -O2, with -Os)",),
        explained=TOTAL,
    ),
)
