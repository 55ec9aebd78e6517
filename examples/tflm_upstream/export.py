"""Writes what the firmware of this folder has compiled in, as C++: export.py CASE_FOLDER OUTPUT.cc

The model byte for byte, its hash, and gains, gate, labels and thresholds of the case.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from hil.case.load import load_case

_LINE = 24  # bytes
_CHANNELS = 6  # src/model.h


def main() -> None:
    folder, output = Path(sys.argv[1]), Path(sys.argv[2])
    case = load_case(folder / "case.toml")
    prepare, gate, decide = case.prepare, case.gate, case.decide
    if prepare.name != "scale/1" or decide.name != "argmax/1" or len(prepare.channels) != _CHANNELS:
        raise SystemExit(f"{folder}: {prepare.name} and {decide.name}; src/product.cc knows scale/1 and argmax/1")
    data = case.model.path.read_bytes()
    channels = ",\n".join(f"    {{{each.source}, {each.offset}, {each.gain}}}" for each in prepare.channels)
    labels = ", ".join(f'"{label}"' for label in decide.labels)
    output.write_text(
        f"""// Written by export.py.
#include "model.h"

namespace model {{
alignas(16) const uint8_t data[] = {{
{_bytes(data)}
}};
const uint32_t size = {len(data)};
const uint8_t hash[32] = {{
{_bytes(hashlib.sha256(data).digest())}
}};
const char* const case_name = "{case.name}";
const uint32_t case_version = {case.version};
const Channel channels[kChannels] = {{
{channels},
}};
const int32_t minimum = {int(gate.minimum)}, maximum = {int(gate.maximum)}, min_span = {int(gate.min_span)};
const char* const labels[kLabels] = {{{labels}}};
const int32_t threshold = {decide.threshold}, release = {decide.release};
const uint32_t debounce = {decide.debounce}, cooldown = {decide.cooldown};
}}  // namespace model
""",
        encoding="utf-8",
    )


def _bytes(data: bytes) -> str:
    return ",\n".join("    " + ", ".join(map(str, data[i : i + _LINE])) for i in range(0, len(data), _LINE)) + ","


if __name__ == "__main__":
    main()
