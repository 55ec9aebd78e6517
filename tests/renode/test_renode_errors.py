"""What can go wrong between harness and Renode: each ends as an error that names the step and carries Renode's words,
and nothing stays behind (conftest.py looks).
"""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from harness_process import stop_still
from native_session import imu_motion, with_vectors
from stand_in_board import launcher, stand_in_board

from hil.board import renode
from hil.bundle import build_bundle
from hil.device import Device
from hil.errors import BoardError, DeviceEnded
from hil.image.elf import Image
from hil.renode.process import RenodeProcess
from hil.renode.robot import Robot, RobotTimeout
from hil.session import run_case

pytestmark = pytest.mark.slow


@pytest.fixture
def bundle() -> bytes:
    return build_bundle(imu_motion())


@pytest.mark.parametrize(
    ("misbehave", "message"),
    [
        (
            "dies",
            r"134; its first and last words:\nUnhandled.*TypeInitializationException\n(.*\n)+.*Aborted \(core dumped\)",
        ),
        ("no-port", r"start: renode-stand-in opened no port .* within 1 s; it said:\nCould not create port file"),
        ("odd-port", r"start: renode-stand-in named port 'many'"),
        ("refused", r"renode does not listen at port \d+ any more"),
        ("no-xml", r"with something that is no XML-RPC"),
        ("http-500", r"with HTTP status 500 \(Internal Server Error\)"),
        ("fail:machine Reset", r"renode refused '.*machine Reset': Something of Renode's own broke\.$"),
        ("fail:sysbus Read", r"renode refused '.*ReadDoubleWord 0x8000000': Something of Renode's own broke\.$"),
        ("fault:machine Reset", r"renode does not take '.*machine Reset': fault 2, Arguments types do not match"),
        ("odd:machine Reset", r"which is no answer of a Robot server"),
        ("hang:start", r"renode did not answer 'ExecuteCommand start' within 1 s"),
        ("crash:machine Reset", r"renode went away during '.*': .*killed by SIGKILL; its last words:\n.*OutOfMemory"),
        ("fail:/", r"start: Renode does not load stm32f429\.resc with stm32f429\.repl: .*Something of Renode's own"),
        ("stands-still", r"boot: board renode-stand-in did not open its link within 1 s(.|\n)*pc 0x08"),
    ],
)
def test_it_ends_as_an_error_with_renodes_words(
    tmp_path: Path, image: Image, bundle: bytes, misbehave: str, message: str
) -> None:
    with (
        stand_in_board(tmp_path, misbehave, boot_s="1.0", start_s="1.0", call_s="1.0") as board,
        pytest.raises(BoardError, match=message),
    ):
        board.provision(image, bundle)


def test_a_platform_error_is_told_in_renodes_words(tmp_path: Path, image: Image, bundle: bytes) -> None:
    (tmp_path / "wrong").mkdir()
    with stand_in_board(tmp_path) as board:
        platform = tmp_path / "boards" / "stm32f429.repl"
        platform.write_text(platform.read_text() + "\nfoo: Bad.Type @ sysbus 0x40000000\n")
        with pytest.raises(
            BoardError, match=r"start: Renode does not load .*Error E04: Could not resolve type: 'Bad\.Ty"
        ):
            board.provision(image, bundle)


def test_a_memory_that_is_smaller_than_the_board_file_says_is_named(
    tmp_path: Path, image: Image, bundle: bytes
) -> None:
    with stand_in_board(tmp_path) as board:
        platform = tmp_path / "boards" / "stm32f429.repl"
        platform.write_text(platform.read_text().replace("segmentSize: 0x30000", "segmentSize: 0x20000"))
        with pytest.raises(
            BoardError, match=r"ram should be one shared file with 196,608 bytes .*found: 135,168 bytes"
        ):
            board.provision(image, bundle)


def test_a_core_that_cannot_go_on_ends_the_wait_at_once(tmp_path: Path, image: Image, bundle: bytes) -> None:
    words = r"CPU abort \[PC=0x60000000\]: Trying to execute code outside RAM or ROM"
    with stand_in_board(tmp_path, "aborts") as board, pytest.raises(DeviceEnded, match=words):
        board.provision(image, bundle)


def test_a_renode_that_dies_in_mid_session_is_named_and_replaced(tmp_path: Path, image: Image, bundle: bytes) -> None:
    with stand_in_board(tmp_path) as board:
        board.provision(image, bundle)
        device = Device(board)
        assert board.pid is not None
        os.kill(board.pid, signal.SIGKILL)
        with pytest.raises(BoardError, match=r"renode-stand-in was killed by SIGKILL"):
            device.run(imu_motion().vectors.payload(0))
        with pytest.raises(BoardError, match=r"is not running: renode went away during .*SIGKILL"):
            board.reset()
        board.provision(image, bundle)
        assert Device(board).hello.bundle_status == 0


def test_a_renode_that_stands_still_is_told_in_one_time_out_with_the_vector(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked once, and not again: neither for registers, nor to pause, nor to end."""
    monkeypatch.setattr(renode, "_SIGN_S", 0.2)
    case = with_vectors(imu_motion(), range(6))
    with stand_in_board(tmp_path, call_s="2.0", reply_s="60.0") as board:

        def stop_it(what: str, done: int, _: int) -> None:
            if (what, done) == ("vectors", 3) and board.pid is not None:
                stop_still(board.pid)

        began = time.monotonic()
        with pytest.raises(BoardError) as told:
            run_case(case, board, image, progress=stop_it)
        board.close()
        assert time.monotonic() - began < 30
    words = r"run: board renode-stand-in: renode did not answer 'ExecuteCommand version' within 2 s\n"
    assert re.match(rf"{words}  while vector \d:\S+ ran\n  next: .*SIGSTOP", str(told.value))


def test_the_questions_of_the_harness_are_no_last_words(tmp_path: Path, image: Image, bundle: bytes) -> None:
    with stand_in_board(tmp_path) as board:
        board.provision(image, bundle)
        log = next((tmp_path / "temporary").glob("hil-private-*/renode.log"))
        with log.open("a") as file:
            file.write("12:00:00.0000 [WARNING] sysbus: [cpu: 0x8001234] the firmware's own doing\n")
        assert "the core was found here" in board.postmortem().text
        assert "Unhandled read from offset 0XD38" in log.read_text()
        assert board.pid is not None
        os.kill(board.pid, signal.SIGKILL)
        with pytest.raises(BoardError, match="was killed by SIGKILL") as told:
            Device(board).run(imu_motion().vectors.payload(0))
    assert "the firmware's own doing" in str(told.value)
    assert "Unhandled read" not in str(told.value)


def test_renode_hangs_in_mid_session(tmp_path: Path, image: Image, bundle: bytes) -> None:
    with stand_in_board(tmp_path, "hang:machine Pause", call_s="1.0") as board:
        board.provision(image, bundle)
        with pytest.raises(BoardError, match=r"is not running: renode did not answer '.*machine Pause' within 1 s"):
            board.reset()


@pytest.mark.parametrize("forks", [False, True])
def test_a_renode_that_does_not_want_to_end_is_ended(tmp_path: Path, image: Image, bundle: bytes, forks: bool) -> None:
    board = stand_in_board(tmp_path, "no-stop", forks)
    board.provision(image, bundle)
    began = time.monotonic()
    board.close()
    assert time.monotonic() - began < 10
    board.close()


# ---- the client alone


def test_an_answer_that_should_be_a_number_and_is_none_is_shown(tmp_path: Path) -> None:
    process = RenodeProcess(launcher(tmp_path, "number:version"), 10.0, 10.0)
    try:
        with pytest.raises(BoardError, match=r"renode: 'version' answered 'eleven', a number was expected"):
            process.robot.number("version")
    finally:
        process.stop()


def serve_once(answer: bytes) -> tuple[int, list[bytes]]:
    """A server that gives `answer` to each connection and breaks it; its port and the requests that came."""
    server = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def work() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                requests.append(connection.recv(65536))
                connection.sendall(answer)

    threading.Thread(target=work, daemon=True).start()
    return server.getsockname()[1], requests


def test_a_call_that_breaks_is_not_sent_again(tmp_path: Path) -> None:
    port, requests = serve_once(b"")
    with pytest.raises(BoardError, match=r"renode broke the connection during 'ExecuteCommand machine Reset'"):
        Robot(port, 5.0, lambda: None).command("machine Reset")
    assert len(requests) == 1


def test_a_server_that_accepts_and_says_nothing_runs_into_the_time_out() -> None:
    words = r"did not answer 'ExecuteCommand version' within 0\.2 s\n  next: "
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(RobotTimeout, match=words):
        Robot(server.getsockname()[1], 0.2, lambda: None).command("version")
