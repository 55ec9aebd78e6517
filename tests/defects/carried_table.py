"""The seeded defects of models whose state the product carries from outputs to inputs: one row each."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_workbench import Edit

CARRIED = "pipeline/carried.cpp"
TAKEN = "state.from, state.bytes"
NO_STATE = "other arithmetic"  # outputs that no other state explains
H, C = "the pair 'h' -> 'h_prev'", "the pair 'c' -> 'c_prev'"


@dataclass(frozen=True)
class CarriedDefect:
    """says: what the hint of the first finding begins with; pairs: those that it names, and no others."""

    name: str
    mistake: str
    edits: tuple[Edit, ...]
    says: str
    pairs: tuple[str, ...]


CARRIED_DEFECTS = (
    CarriedDefect(
        "states_cleared_at_every_window",
        "all states are set back before every window",
        (Edit(CARRIED, "forgotten_ = false;", "forgotten_ = true;"),),
        "state cleared at every window",
        (H, C),
    ),
    CarriedDefect(
        "one_state_cleared_at_every_window",
        "one of two states is never carried",
        (Edit(CARRIED, TAKEN, f"{TAKEN} * (&state == states_.data() ? 1 : 0)"),),
        "state cleared at every window",
        (C,),
    ),
    CarriedDefect(
        "fresh_leaves_the_states",
        "a new stream sets the decision state back, and not what is carried",
        (Edit("pipeline/carried.h", "{ forgotten_ = true; }", "{}"),),
        "state not reset where a stream begins",
        (H, C),
    ),
    CarriedDefect(
        "fresh_leaves_one_state",
        "one of two states is set back only before the first window",
        (
            Edit(
                CARRIED,
                "    const uint32_t size = ElementBytes(state.type);\n",
                "    const uint32_t size = ElementBytes(state.type);\n    static uint32_t streams;\n"
                "    if (&state == states_.data() && streams++ != 0) {\n      continue;\n    }\n",
            ),
        ),
        "state not reset where a stream begins",
        (H,),
    ),
    CarriedDefect(
        "states_exchanged",
        "each of two states is carried to the input of the other one",
        (Edit(CARRIED, TAKEN, "states_[&state == states_.data() ? 1 : 0].from, state.bytes"),),
        "state carried to the wrong inputs",
        (H, C),
    ),
    CarriedDefect(
        "one_byte_short",
        "the last byte of one state is not copied",
        (Edit(CARRIED, TAKEN, f"{TAKEN} - (&state == states_.data() ? 0 : 1)"),),
        "state not carried whole",
        (C,),
    ),
    CarriedDefect(
        "zero_point_forgotten",
        "the states are set back to bytes of 0, as memset does",
        (Edit(CARRIED, "kFloat32 ? 0 : state.zero_point", "kFloat32 ? 0 : 0 * state.zero_point"),),
        "state begins with bytes of 0",
        (H, C),
    ),
    CarriedDefect(
        "carried_in_place",
        "the output is copied to the input when the model ran, where other tensors lie by then",
        (
            Edit(CARRIED, "forgotten_ = false;\n  }", "forgotten_ = false;\n  } else {\n    return;\n  }"),
            Edit(
                CARRIED,
                f"memcpy(state.kept, {TAKEN}",
                "memcpy(state.to, state.from, state.bytes",
            ),
        ),
        NO_STATE,
        (C,),
    ),
)
