"""The seeded defects of models with several inputs and outputs: one row each."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_workbench import Edit

FURTHER, PRODUCT = "pipeline/further.cpp", "app/product.cpp"
PREPARE = "void SeveralTensors::Prepare(Bytes window) {\n  Bytes rest = "


@dataclass(frozen=True)
class SeveralDefect:
    """`check` is the first that must fail; its first finding names `stage`, and these are what all of them expect
    something of. says: text of the first one.
    """

    name: str
    mistake: str
    check: str
    stage: str
    tensors: tuple[str, ...]
    edits: tuple[Edit, ...]
    says: str = ""


SEVERAL_DEFECTS = (
    SeveralDefect(
        "outputs_swapped",
        "the second output is read in place of the first",
        "execution.output",
        "invoke",
        ("output 'scores'", "output 'level'"),
        (
            Edit(PRODUCT, "*output = model_output.data;", "*output = EngineOutput(1 - further.decided()).data;"),
            Edit(FURTHER, "output.data = tensor.data;", "output.data = EngineOutput(1 - output.part.index).data;"),
        ),
    ),
    SeveralDefect(
        "second_zero_point_forgotten",
        "the second input is prepared without its zero point",
        "input.prepared",
        "prepare",
        ("input 'right'",),
        (Edit(FURTHER, "part.input.zero_point, input.data", "0, input.data"),),
    ),
    SeveralDefect(
        "second_window_read_from_the_start",
        "the second input is made of the first bytes of the request",
        "input.prepared",
        "prepare",
        ("input 'right'",),
        (Edit(FURTHER, f"{PREPARE}window.subspan(first_bytes_, window.size() - first_bytes_)", f"{PREPARE}window"),),
    ),
    SeveralDefect(
        "second_gate_open",
        "the window of the second input is not held to its gate",
        "input.gate",
        "gate",
        ("rejected",),
        (
            Edit(
                FURTHER,
                "if (reason != GateReason::kValid) {\n      return reason;",
                "if (reason == GateReason::kLength) {\n      return reason;",
            ),
        ),
        says="range, for the window of 'right'",
    ),
    SeveralDefect(
        "second_input_not_prepared_again",
        "the second input is prepared for the first window alone",
        "input.prepared",
        "prepare",
        ("input 'right'",),
        (
            Edit(
                FURTHER,
                "    const InputPart& part = input.part;\n",
                "    const InputPart& part = input.part;\n    static uint32_t windows;\n"
                "    if (windows++ != 0) {\n      continue;\n    }\n",
            ),
        ),
    ),
)
