"""A model whose state is outputs and inputs: the product carries it, the oracle too, and a mistake names the pair."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from carried_state import STATE, answers, float_recurrent_model, write_carried, write_delays
from native_session import PROJECT, native_board
from state_cases import SEQUENCE, streams, windows

from hil.board.config import kind_module, load_board
from hil.bundle import build_bundle, parse_bundle
from hil.bundle.status import describe
from hil.case.load import load_case
from hil.case.start.new import new_case
from hil.case.types import Case, SoakLimits, StatePair
from hil.contract import checks_for, judge
from hil.contract.plain import PlainRuns
from hil.contract.repeats import Repeats
from hil.contract.state import WrongPairs
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.device import Device
from hil.image.build import FIRMWARE, WITH_KERNELS, build
from hil.image.elf import Image
from hil.model.ends import MOST_CARRIED, MOST_OUTPUTS
from hil.records import Status
from hil.reference.compute import compute
from hil.session import run_case
from hil.session.wrong_pairs import _stream, wrong_pairs

RNNOISE = PROJECT.parent / "shared" / "data" / "public_models" / "mlonmcu_rnnoise_INT8.tflite"


@cache
def image(target: str = "native", name: str = WITH_KERNELS) -> Image:
    return Image(build(target, PROJECT, image=name))


def run(case: Case, folder: Path, board: str = "native") -> Evidence:
    config = load_board(board, [PROJECT / "boards"])
    with kind_module(config).open_board(config, folder / "board.log") as opened:
        return run_case(case, opened, image(config.target)).evidence


def failed(evidence: Evidence) -> dict[str, CheckResult]:
    results = (judge(check, evidence) for check in checks_for(evidence.case))
    return {each.check: each for each in results if each.outcome in (Outcome.FAILED, Outcome.INVALID)}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return load_case(write_carried(tmp_path_factory.mktemp("carried")))


@pytest.fixture(scope="module")
def whole(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return run(case, tmp_path_factory.mktemp("whole"))


def right() -> dict[str, np.ndarray]:
    """The outputs of all windows, in file order."""
    outputs = {name: np.zeros((len(SEQUENCE), 4), np.int8) for name in ("h", "scores", "c")}
    for stream in streams():
        for name, found in answers([(row, place == 0) for place, row in enumerate(stream)]).items():
            outputs[name][stream] = found
    return outputs


def test_the_product_carries_each_output_to_its_input_through_each_stream(whole: Evidence) -> None:
    assert failed(whole) == {}
    records, wanted = whole.records, right()
    np.testing.assert_array_equal(records.output, wanted["scores"])
    np.testing.assert_array_equal(records.outputs[0], wanted["h"])
    np.testing.assert_array_equal(records.outputs[1], wanted["c"])
    assert (whole.hello.input, whole.hello.inputs, records.inputs) == (whole.case.model.input, (), ())
    repeats = whole.section(Repeats)
    assert (repeats.pass_runs, repeats.differences) == (len(SEQUENCE), ())
    assert whole.section(PlainRuns).differences == ()


def test_a_window_that_the_gate_refuses_leaves_the_state_as_it_was(case: Case, tmp_path: Path) -> None:
    with native_board(tmp_path) as board:
        board.provision(image(), build_bundle(case))
        device = Device(board, case.model)
        first = device.run(case.vectors.payload(0))
        assert device.run(b"short", fresh=False).status == Status.REJECTED
        found = device.run(case.vectors.payload(1), fresh=False)
    wanted = answers([(0, True), (1, False)])
    assert (first.output, found.output) == tuple(row.tobytes() for row in wanted["scores"])


def with_pairs(case: Case, *pairs: tuple[int, int]) -> bytes:
    """The case's bundle with these pairs in place of its own."""
    tensor = case.model.input
    carried = tuple(StatePair(output, input, tensor, tensor) for output, input in pairs)
    return build_bundle(replace(case, model=replace(case.model, carried=carried)))


def test_pairs_that_are_none_of_the_model_are_refused(case: Case, tmp_path: Path) -> None:
    assert parse_bundle(build_bundle(case)).carried == ((0, 0), (2, 2))
    assert parse_bundle(build_bundle(case)).state
    hostile = {
        ((0, 0), (0, 0)): (25, 0),  # twice the same input
        ((0, 0), (3, 2)): (25, 3 << 8 | 2),  # no such output
        ((0, 0), (2, 3)): (25, 2 << 8 | 3),  # no such input
        ((0, 2), (2, 0)): (25, 2),  # another quantisation
        ((255, 255), (255, 254)): (25, 0xFFFF),
        ((0, 0),): (36, 3 << 8 | 3),  # an input that nothing reaches
        tuple((0, place) for place in range(MOST_CARRIED + 1)): (24, 0),  # more than the firmware keeps
    }
    with native_board(tmp_path) as board:
        for pairs, status in hostile.items():
            board.provision(image(), with_pairs(case, *pairs))
            hello = Device(board).hello
            assert (hello.bundle_status, hello.bundle_detail) == status, pairs
        board.provision(image(name=FIRMWARE), build_bundle(case))
        assert Device(board).hello.bundle_status == 24
    assert "output 2 and input 3" in describe(25, 2 << 8 | 3)


def test_what_is_carried_lies_in_the_arena_and_counts_for_it(case: Case, tmp_path: Path) -> None:
    """The device tells what the model needs when the case gives it too little."""
    fed = {"h_prev": np.zeros((3, 4), np.int8), "x": np.zeros((3, 6), np.int8), "c_prev": np.zeros((3, 4), np.int8)}
    arrays = {f"windows.{name}": each for name, each in fed.items()}
    unwired = load_case(write_carried(tmp_path / "unwired", "state = false\n", only=arrays))
    needed = []
    with native_board(tmp_path) as board:
        for each in (unwired, case):
            board.provision(image(), build_bundle(replace(each, arena_bytes=1024)))
            hello = Device(board).hello
            assert hello.bundle_status == 34
            needed.append(hello.bundle_detail)
    assert needed[1] - needed[0] == 16  # two states of four bytes, rounded up


def test_a_pair_that_is_carried_right_alone_is_not_named(whole: Evidence, tmp_path: Path) -> None:
    """The records are damaged, the firmware is not; of a firmware that carries it wrongly tests/defects has a table."""
    output = whole.records.output.copy()
    output[whole.case.vectors.sequence == SEQUENCE[0], 0] ^= 3
    damaged = replace(whole, records=replace(whole.records, output=output))
    with native_board(tmp_path) as board:
        assert len(_stream(damaged)) > 1
        assert wrong_pairs(damaged, board, image()) == WrongPairs()
        assert wrong_pairs(whole, board, image()) == WrongPairs()


def test_the_pairs_that_are_wrong_alone_are_told(whole: Evidence) -> None:
    output = whole.records.output ^ np.int8(1)
    told = {**whole.sections, WrongPairs: WrongPairs(("the pair 'c' -> 'c_prev'",))}
    damaged = replace(whole, records=replace(whole.records, output=output), sections=told)
    hint = failed(damaged)["execution.output"].findings[0].hint
    assert hint.endswith("carried alone, it is wrong with the pair 'c' -> 'c_prev'")


@pytest.mark.parametrize("board", ["native", pytest.param("qemu", marks=pytest.mark.slow)])
def test_as_many_states_as_a_streaming_network_has_are_carried(board: str, tmp_path: Path) -> None:
    case = load_case(write_delays(tmp_path / "case", MOST_CARRIED))
    assert (len(case.model.carried), len(case.model.outputs)) == (MOST_CARRIED, MOST_OUTPUTS)
    evidence = run(case, tmp_path, board)
    assert failed(evidence) == {}
    forgetful = compute(replace(case, keeps_state=False))
    for seen, other in zip((evidence.records.output, *evidence.records.outputs), forgetful.outputs, strict=False):
        assert (seen != other.output).any()


@pytest.mark.slow
def test_a_state_of_float32_is_carried_as_it_is(tmp_path: Path) -> None:
    file = write_carried(
        tmp_path / "case",
        f"all_float = true\n{STATE}",
        float_recurrent_model(),
        {"windows": windows().astype(np.float32) / 8, "sequence": np.array(SEQUENCE)},
    )
    limits = "[input.gate]\nminimum = -16.0\nmaximum = 16.0\n"
    text = file.read_text().replace("[contract.execution]\n", f"{limits}[contract.execution]\ntolerance = 1e-5\n")
    file.write_text(text)
    evidence = run(load_case(file), tmp_path)
    assert failed(evidence) == {}
    for stream in streams():
        wanted = -np.cumsum(evidence.case.vectors.windows[stream, :4], axis=0)
        np.testing.assert_array_equal(evidence.records.output[stream], wanted)


@pytest.mark.slow
@pytest.mark.skipif(not RNNOISE.is_file(), reason="no ../shared/data beside the project")
@pytest.mark.parametrize("board", ["native", "qemu"])
def test_a_model_of_three_states_needs_windows_of_its_features_alone(board: str, tmp_path: Path) -> None:
    """RNNoise as MLonMCU ships it: four inputs, of which three are the states of its GRU layers, and five outputs."""
    case = new_case(tmp_path / "case", RNNOISE).case
    assert [each.name for each in case.model.inputs] == ["main_input_int8"]
    assert [(each.output, each.input) for each in case.model.carried] == [(0, 3), (2, 2), (3, 1)]
    contracts = replace(case.contracts, replays=2, soak=SoakLimits(40))
    evidence = run(replace(case, contracts=contracts), tmp_path, board)
    assert failed(evidence) == {}
    assert (len(evidence.records.inputs), len(evidence.records.outputs)) == (0, 4)
    forgetful = compute(replace(case, keeps_state=False))
    for seen, other in zip(evidence.records.outputs, forgetful.outputs, strict=True):
        assert (seen != other.output).any()
