"""Firmware whose instruments lie: one row an image, with several mistakes that do not meet, and what must say so."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_workbench import Edit

INVALID, FAILED = "invalid", "failed"
_AGENT, _PIPELINE, _PRODUCT = "agent/agent.c", "pipeline/pipeline.cpp", "app/product.cpp"
_METER, _TEST_MODE = "testmode/stage_meter.cpp", "testmode/test_mode.cpp"
_ARENA, _STACK, _FRAMING, _BUNDLE = "memory/arena.cpp", "memory/stack.cpp", "link/framing.c", "bundle/bundle.cpp"
_QEMU, _NATIVE = "port/mps2-an386/port.cpp", "port/native/port.cpp"
_NULL = "  SetRegion(4, 0x00000000, 10, kNone | kExecuteNever);                  // null pointers\n"
_SPIN = "for (volatile uint32_t i = 0; i < 2000000; i = i + 1) {\n    }\n"


@dataclass(frozen=True)
class Lie:
    """mistakes: what a developer did wrong, and where. says: check to outcome and texts of its first finding; no other
    check of the contract `instruments` may be invalid.
    """

    name: str
    board: str
    mistakes: tuple[tuple[str, Edit], ...]
    says: dict[str, tuple[str, tuple[str, ...]]]

    @property
    def edits(self) -> tuple[Edit, ...]:
        return tuple(edit for _, edit in self.mistakes)


LIES = (
    Lie(
        "measures",
        "qemu",
        (
            (
                "the clock reads 20 % too little",
                Edit(_QEMU, "return UINT32_MAX - timer0.value;", "return (UINT32_MAX - timer0.value) / 5 * 4;"),
            ),
            (
                "the arena's mark is halved",
                Edit(_ARENA, "sizeof(uint32_t)), floor_);", "sizeof(uint32_t)), floor_) / 2;"),
            ),
            (
                "the stack's mark is halved",
                Edit(_STACK, "CountPainted(stack, kPaint)) * sizeof(uint32_t))", "CountPainted(stack, kPaint)) * 2)"),
            ),
            (
                "damaged canaries are never reported",
                Edit(_ARENA, "found = damage_ | LookAtCanaries();", "found = LookAtCanaries() & 0;"),
            ),
            ("the watchdog is never armed", Edit(_QEMU, "  watchdog.control = kWatchdogInterrupt;\n", "")),
            ("the stack has no guard", Edit(_QEMU, "  SetStackGuard(5);\n", "")),
            ("null pointers have no guard", Edit(_QEMU, _NULL, "")),
            (
                "the CRC is never checked",
                Edit(_FRAMING, "if (hil_crc32(message->data, message->size) != message->crc)", "if (false)"),
            ),
            (
                "a repeated request is run again",
                Edit(_AGENT, "if (repeated && !hello) {", "if (repeated && !hello && false) {"),
            ),
        ),
        {
            "instruments.link": (INVALID, ("one bit of a window changed", "the damaged request")),
            "instruments.clock": (INVALID, ("in gate", "-20.0 %")),
            "instruments.stages": (INVALID, ()),
            "instruments.deadline": (INVALID, ("spun to its end",)),
            "instruments.stack_guard": (INVALID, ("came back",)),
            "instruments.null_guard": (INVALID, ("address 0 is read", "came back")),
            "instruments.canaries": (INVALID, ("canary damage 1", "canary damage 0")),
            "instruments.arena_mark": (INVALID, ("1,800 bytes by the firmware",)),
            "instruments.stack_mark": (INVALID, ("bytes by the firmware",)),
            "latency.total.p99": (INVALID, ()),
            "memory.arena": (INVALID, ()),
            "memory.stack": (INVALID, ()),
            "execution.fault": (INVALID, ()),
            "execution.canaries": (INVALID, ()),
        },
    ),
    Lie(
        "a fast clock",
        "qemu",
        (
            (
                "the same work takes 2 % more ticks everywhere",
                Edit(
                    _QEMU,
                    "uint32_t ClockNow() { return UINT32_MAX - timer0.value; }",
                    "uint32_t ClockNow() {\n  const uint32_t ticks = UINT32_MAX - timer0.value;\n"
                    "  return ticks + ticks / 50;\n}",
                ),
            ),
        ),
        {
            "instruments.clock": (INVALID, ("in gate", "+2.0 %")),
            "instruments.stages": (INVALID, ()),
            "latency.total.p99": (INVALID, ()),
        },
    ),
    Lie(
        "hidden work",
        "qemu",
        (
            (
                "prepare has done its work when its clock starts",
                Edit(
                    _PIPELINE,
                    "  bool done;\n  {\n    const StageScope scope(observer, Stage::kPrepare);\n"
                    "    done = RunPrepare(window);\n  }\n",
                    "  bool done = RunPrepare(window);\n"
                    "  {\n    const StageScope scope(observer, Stage::kPrepare);\n  }\n",
                ),
            ),
            (
                "the clock wraps at 24 bits",
                Edit(_QEMU, "return UINT32_MAX - timer0.value;", "return (UINT32_MAX - timer0.value) & 0xFFFFFF;"),
            ),
            (
                "the deadline is ignored",
                Edit(_TEST_MODE, "port::WatchdogArm(deadline);", "port::WatchdogArm(deadline & 0);"),
            ),
            (
                "the canary above lies 64 bytes too late",
                Edit(
                    _ARENA,
                    "Paint(Words(kBase + bytes, kCanaryBytes), kCanary);",
                    "Paint(Words(kBase + bytes + 64, kCanaryBytes - 64), kCanary);",
                ),
            ),
            (
                "and is looked at there",
                Edit(
                    _ARENA,
                    "CheckCanary(kBase + bytes_);",
                    "CountPainted(Words(kBase + bytes_ + 64, 512), kCanary) == 128;",
                ),
            ),
            (
                "the hello says a stack of twice the size",
                Edit(_TEST_MODE, "port::Stack().size() * sizeof(uint32_t)", "port::Stack().size() * 8"),
            ),
        ),
        {
            "instruments.clock": (INVALID, ("in invoke",)),
            "instruments.stages": (INVALID, ("the sum of its stages", "when nobody looks")),
            "instruments.deadline": (INVALID, ("spun to its end",)),
            "instruments.canaries": (INVALID, ("directly above", "64 of them")),
            "instruments.symbols": (INVALID, ("32,768 bytes, by the ELF", "65,536 bytes")),
            "memory.stack": (INVALID, ()),
            "latency.total.p99": (INVALID, ()),
        },
    ),
    Lie(
        "broken contracts",
        "qemu",
        (
            (
                "the gate's time is left out",
                Edit(
                    _METER,
                    "total_ += port::ClockNow();",
                    "const uint32_t now = port::ClockNow();\n  total_ += stage == Stage::kGate ? 0 : now;",
                ),
            ),
            (
                "interrupts stay masked",
                Edit(
                    _QEMU,
                    'void UnmaskInterrupts() { asm volatile("cpsie i" ::: "memory"); }',
                    "void UnmaskInterrupts() {}",
                ),
            ),
            (
                "4 of 32 bytes of the hash are compared",
                Edit(_BUNDLE, "whole.data() + kHashAt, kHashBytes) != 0", "whole.data() + kHashAt, 4) != 0"),
            ),
            (
                "the interpreter gets eight times the arena of the case",
                Edit(
                    _PRODUCT,
                    "arena = arena_.Prepare(share);",
                    "arena = arena_.Prepare(share * 8);",
                ),
            ),
        ),
        {
            "instruments.clock": (INVALID, ("in gate", "it stands still")),
            "instruments.stages": (INVALID, ("when nobody looks",)),
            "instruments.canaries": (INVALID, ("directly above",)),
            "instruments.arena_mark": (INVALID, ()),
            "execution.core": (FAILED, ("PRIMASK 0x1",)),
            "execution.damaged": (FAILED, ("the last byte of the hash", "accepted (status 0)")),
            "execution.arena": (FAILED, ("4,096 bytes for the interpreter", "given 32,768 bytes")),
        },
    ),
    Lie(
        "nobody looks",
        "native",
        (
            (
                "the model does not run without an observer",
                Edit(_PIPELINE, "done = RunInvoke();", "done = !observer || RunInvoke();"),
            ),
        ),
        {"execution.plain": (FAILED, ("when nobody looks",))},
    ),
    Lie(
        "known by its deadline",
        "qemu",
        (
            (
                "prepare does nothing while no deadline runs",
                Edit(
                    _PIPELINE,
                    "  bundle_->prepare_run(",
                    "  if (*reinterpret_cast<volatile uint32_t*>(0x40008008) == 0) {\n    return true;\n  }\n"
                    "  bundle_->prepare_run(",
                ),
            ),
            (
                "the gate takes many inferences to find a window stale",
                Edit(
                    "pipeline/gate.cpp",
                    "    return GateReason::kStale;\n",
                    f"    {_SPIN}    return GateReason::kStale;\n",
                ),
            ),
        ),
        {
            "execution.plain": (FAILED, ("when nobody looks",)),
            "latency.refused": (FAILED, ("until the gate refused it",)),
        },
    ),
    Lie(
        "on the host",
        "native",
        (
            (
                "the clock reads 20 % too little",
                Edit(_NATIVE, "<uint32_t>(nanoseconds);", "<uint32_t>(nanoseconds * 4 / 5);"),
            ),
            (
                "the agent changes a byte of each window",
                Edit(
                    _AGENT,
                    "  memmove(to, ",
                    "  in[at] = (uint8_t)(in[at] ^ (window->len > 0));\n  memmove(to, ",
                ),
            ),
            (
                "the watchdog is never armed",
                Edit(_NATIVE, "tv_sec = ticks != 0 ?", "tv_sec = ticks == 1 ?"),
            ),
        ),
        {
            "instruments.clock": (
                INVALID,
                (
                    "the clock shows",
                    "-2",
                ),
            ),
            "instruments.deadline": (INVALID, ("spun to its end",)),
            "input.received": (FAILED, ("not by prepare",)),
        },
    ),
)
