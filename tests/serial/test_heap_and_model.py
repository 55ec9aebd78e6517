"""A firmware that tells its heap and gives its model: a leak is found, and a model that is not the one that it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from firmware_copy import FirmwareCopy
from native_session import imu_motion, only_steps, with_vectors
from own_firmware import OWN
from serial_board import board_file
from wire import wire

from hil.board.config import read_board
from hil.board.serial import open_board
from hil.case.types import Case
from hil.contract import CHECKS, judge
from hil.contract.heap import HeapUse
from hil.contract.model_bytes import ModelRead
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.image.absent import AbsentImage
from hil.image.elf import Image
from hil.model.graph import read_graph
from hil.session import heap, model_read, repeats, run_case

pytestmark = pytest.mark.slow

BY_ID = {check.id: check for check in CHECKS}
BLOCK = 24  # bytes that each window allocates and never frees
RIGHT = bytes.fromhex(imu_motion().model.sha256)
LEAK = """static_cast<TestMode*>(context)->Run(*window, record);
    void** const block = static_cast<void**>(std::malloc(24));
    *block = lost;
    lost = block;
    in_use += malloc_usable_size(block);
  };
  interface_.heap = [](void*, hil_heap* heap) {
    *heap = {static_cast<uint32_t>(in_use), static_cast<uint32_t>(in_use), HIL_NOT_TOLD, 0};
    return true;
  };
  interface_.model = [](void* context, uint32_t offset, uint32_t count, hil_bytes* piece) {
    const hil::Bytes model = static_cast<TestMode*>(context)->product_->bundle().model;
    const bool there = offset <= model.size() && count <= model.size() - offset;
    *piece = there ? hil_bytes{model.data() + offset, count} : hil_bytes{nullptr, static_cast<uint32_t>(model.size())};
    return there;
  };
  interface_.decide"""
EDITS = {
    "testmode/test_mode.cpp": [
        *OWN["testmode/test_mode.cpp"],
        (
            '#include "testmode/test_mode.h"\n',
            '#include "testmode/test_mode.h"\n#include <malloc.h>\n#include <cstdlib>\n'
            "static void** lost;\nstatic size_t in_use;\n",
        ),
        ("static_cast<TestMode*>(context)->Run(*window, record);\n  };\n  interface_.decide", LEAK),
        (
            "std::copy(bundle.model_hash.begin(), bundle.model_hash.end(), facts->model_hash);",
            f"const uint8_t right[32] = {{{', '.join(map(str, RIGHT))}}};\n"
            "  std::copy(right, right + 32, facts->model_hash);",
        ),
    ]
}


@pytest.fixture(scope="module")
def image(firmware_copy: FirmwareCopy) -> Image:
    return firmware_copy.image("heap-and-model", EDITS)


def case() -> Case:
    """Enough windows in a row to tell a leak."""
    small = with_vectors(imu_motion(), range(0, 400, 10))
    return replace(small, contracts=replace(small.contracts, heap_bytes=4096))


def session(image: Image, held: Case, folder: Path) -> Evidence:
    """The firmware with the model of `held`, judged as that of imu_motion."""
    folder.mkdir(exist_ok=True)
    with (
        wire(folder, held, "socket", image=image) as made,
        open_board(read_board(board_file(made, {"bundle": "none"}, flash=None)), folder / "log") as board,
        only_steps(repeats.STEP, model_read.STEP, heap.STEP),
    ):
        (folder / "log").touch()
        return run_case(case(), board, AbsentImage()).evidence


def verdict(name: str, evidence: Evidence) -> CheckResult:
    return judge(BY_ID[name], evidence)


def test_a_leak_is_found_and_the_right_model_is_read_back(image: Image, tmp_path: Path) -> None:
    evidence = session(image, imu_motion(), tmp_path)
    (run, *_) = evidence.section(HeapUse).starts
    steps = np.diff(run.used)
    assert len(run.used) >= len(case().vectors)
    assert (steps == steps[0]).all()
    assert steps[0] >= BLOCK
    growth = verdict("memory.heap_growth", evidence)
    assert growth.outcome is Outcome.FAILED
    assert f": {int(steps[0])} bytes a window" in growth.findings[0].observed
    size = len(imu_motion().model.data)
    model = verdict("execution.model", evidence)
    assert (model.outcome, model.reason) == (Outcome.PASSED, f"all {size:,} bytes read back from the firmware")


def test_another_model_than_the_hash_says_is_found_with_its_place(image: Image, tmp_path: Path) -> None:
    """One weight of the first convolution is another one; the firmware tells the hash of the right file."""
    right = imu_motion().model
    at, tensor = weight_of(right.data, right.path)
    data = bytearray(right.data)
    data[at] ^= 0x10
    other = replace(imu_motion(), model=replace(right, data=bytes(data), sha256="00" * 32))
    evidence = session(image, other, tmp_path)
    assert evidence.hello.model_hash == right.sha256
    seen = evidence.section(ModelRead)
    assert (seen.first, seen.differ, seen.wanted ^ (seen.found or 0)) == (at, 1, 0x10)
    (finding,) = verdict("execution.model", evidence).findings
    assert f"at byte {at:,}" in finding.expected
    assert f"the values of tensor {tensor!r}, input 1 of operator 0 " in finding.observed


def weight_of(data: bytes, path: Path) -> tuple[int, str]:
    """Where the tenth weight of the first operator lies, found by its values, and the tensor's name."""
    from ai_edge_litert import schema_py_generated as schema

    graph = read_graph(data, path)
    index = graph.operators[0].inputs[1]
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    values = np.asarray(model.buffers[model.subgraphs[0].tensors[index].buffer].data, np.uint8).tobytes()
    assert data.count(values) == 1
    return data.index(values) + 9, graph.tensors[index].name
