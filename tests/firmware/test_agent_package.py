"""The package that a team takes: strict C99, small, and its example answers over a terminal and a socket."""

from __future__ import annotations

import json
import random
import re
import shutil
import struct
import zlib
from pathlib import Path

import cbor2
import pytest
from agent_package import (
    CORTEX_M4,
    INCLUDES,
    STRICT,
    compile_objects,
    foreign_sources,
    own_sources,
    packed,
    run,
    unpacked,
)
from native_session import PROJECT, native_image
from stream_line import Streamed, over_socket, over_terminal

from hil.errors import AgentError
from hil.link import frame, messages
from hil.records import Can, Status

FLASH_BYTES, RAM_BYTES = 10_000, 2_000
COMPILERS = {"gcc": (), "clang": (), "arm-none-eabi-gcc": CORTEX_M4}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def example(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Under the sanitizers, so that what comes over the line is held to them."""
    out = tmp_path_factory.mktemp("example")
    sanitized = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    sources = [*own_sources(root), "examples/stream/main.c"]
    objects = compile_objects("gcc", (*STRICT, *sanitized), sources, root, out)
    objects += compile_objects("gcc", ("-w", *sanitized), foreign_sources(root), root, out)
    program = out / "example"
    run(["gcc", *sanitized, *map(str, objects), "-o", str(program)], root)
    return program


def window(samples: list[int]) -> bytes:
    return struct.pack("<16h", *samples)


RISING = window([256 * n for n in range(16)])


def test_the_same_sources_give_the_same_package(tmp_path: Path) -> None:
    assert packed(tmp_path / "one").read_bytes() == packed(tmp_path / "two").read_bytes()


def test_what_is_packed_is_what_our_own_image_is_made_of(root: Path) -> None:
    packed_files = {path.relative_to(root) for name in ("agent", "link") for path in (root / name).iterdir()}
    for path in packed_files:
        assert (root / path).read_bytes() == (PROJECT / "firmware" / path).read_bytes(), path
    listed = re.search(r"HIL_AGENT_SOURCES ([^)]+)\)", (root / "agent/sources.cmake").read_text())
    assert listed is not None
    assert sorted(listed[1].split()) == own_sources(root)
    assert "include(agent/sources.cmake)" in (PROJECT / "firmware/CMakeLists.txt").read_text()


def test_the_generated_codec_is_that_of_our_own_image(root: Path) -> None:
    generated = native_image().path.parent / "generated" / "wire"
    for path in (root / "wire").iterdir():
        assert path.read_bytes() == (generated / path.name).read_bytes(), path.name


@pytest.mark.parametrize("compiler", COMPILERS)
def test_our_sources_are_strict_c99(compiler: str, root: Path, tmp_path: Path) -> None:
    found = shutil.which(compiler) or shutil.which(f"{compiler}-14")  # as Debian calls it
    if found is None:
        pytest.skip(f"{compiler} is not installed")
    flags = (*STRICT, *COMPILERS[compiler])
    compile_objects(found, (*flags, "-Os"), own_sources(root), root, tmp_path)


def test_the_headers_are_clean_cpp17(root: Path, tmp_path: Path) -> None:
    user = tmp_path / "user.cpp"
    user.write_text('#include "agent/hil_agent.h"\n#include "link/rtt.h"\n#include "link/crc32.h"\nhil_agent agent;\n')
    run(["g++", "-std=c++17", *STRICT[1:], "-I.", "-fsyntax-only", str(user)], root)


USER = """
#include "agent/hil_agent.h"
#include "link/rtt.h"
hil_agent agent;
extern const hil_product product;
extern const hil_agent_hooks hooks;
extern hil_rtt rtt;
void user(void);
void user(void) {
  const hil_port port = {&rtt, hil_rtt_read, hil_rtt_write, NULL, NULL};
  hil_rtt_start(&rtt);
  (void)hil_agent_start(&agent, &product, &port, &hooks);
  for (;;) {
    (void)hil_agent_poll(&agent);
  }
}
"""


def test_the_agent_fits_into_its_share_of_a_cortex_m4(root: Path, tmp_path: Path) -> None:
    """What a link keeps of it, zcbor's share included, the C library's not; and its memory beside both buffers."""
    (tmp_path / "user.c").write_text(USER)
    flags = (*CORTEX_M4, "-Os")
    user = compile_objects("arm-none-eabi-gcc", (*STRICT, *flags), [str(tmp_path / "user.c")], root, tmp_path)
    own = compile_objects("arm-none-eabi-gcc", (*STRICT, *flags), own_sources(root), root, tmp_path)
    foreign = compile_objects("arm-none-eabi-gcc", ("-w", *flags), foreign_sources(root), root, tmp_path)
    kept = tmp_path / "kept.elf"
    objects = map(str, user + own + foreign)
    run(["arm-none-eabi-ld", "-r", "--gc-sections", "-e", "user", "-u", "user", *objects, "-o", str(kept)], root)
    code, data, bss = (int(word) for word in run(["arm-none-eabi-size", str(kept)], root).splitlines()[1].split()[:3])
    sizes = dict(
        (name, int(size, 16))
        for _, size, _, name in (
            line.split()
            for line in run(["arm-none-eabi-nm", "-S", str(kept)], root).splitlines()
            if len(line.split()) == 4
        )
    )
    assert code - sizes["user"] <= FLASH_BYTES
    assert data == 0  # nothing is static
    assert bss == sizes["agent"]
    assert sizes["agent"] - 2048 - 1024 <= RAM_BYTES
    print(f"flash {code - sizes['user']} bytes, RAM {sizes['agent'] - 2048 - 1024} bytes beside the buffers")


@pytest.mark.parametrize("line", ["socket", "terminal"])
def test_the_example_is_spoken_to(line: str, example: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    opened = over_socket(example, [], log, as_input=True) if line == "socket" else over_terminal(example, [], log)
    with opened as firmware:
        client = firmware.client()
        hello = messages.decode_hello(client.request(messages.hello_command(), 20.0), client.boot or 0)
        assert (hello.target, hello.case, hello.labels) == ("example", "rise", ("falls", "rises"))
        assert hello.can == Can(0)
        assert hello.frame_bytes == 2048
        record = messages.decode_record(client.request(messages.run_command(1, True, 0, RISING), 20.0))
        assert (record.status, record.decision.label) == (Status.DONE, "rises")
        assert record.output == bytes([192, 64])  # 8 samples that lie 8 higher than 8 others, as int8: -64 and 64
        assert record.digest == zlib.crc32(bytes(range(16)))
        assert (record.minimum, record.maximum, record.received) == (0, 15, zlib.crc32(RISING))
        refused = messages.decode_record(client.request(messages.run_command(2, True, 0, b"short"), 20.0))
        assert refused.status == Status.REJECTED
        assert (refused.decision.winner, refused.decision.answer) == (-1, -1)  # 0 would be its first label
        for command in (messages.scores_command(True, b"\0\0"), messages.fetch_command(0, 0, 1)):
            with pytest.raises(AgentError, match="this firmware cannot do that"):
                client.request(command, 20.0)
        assert client.counters.repeats == client.counters.damaged == client.counters.ignored == 0


def test_the_example_survives_a_million_bytes(example: Path, tmp_path: Path) -> None:
    """Noise, and frames with noise in them, at whatever speed the line takes them; then it answers as before."""
    dice = random.Random(11)
    whole = frame.encode(cbor2.dumps([1, messages.run_command(1, True, 0, RISING)]))
    with over_socket(example, [], tmp_path / "log", as_input=True) as firmware:
        sent = 0
        while sent < 1_000_000:
            damaged = bytearray(whole * 20)
            for _ in range(20):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            data = dice.randbytes(3000) + b"\0" + bytes(damaged)
            sent += len(data)
            while data:
                data = data[firmware.line.write(data) :]
                firmware.line.read()
                firmware.alive()
        answers_as_before(firmware)


def answers_as_before(firmware: Streamed) -> None:
    client = firmware.client()
    firmware.line.write(b"\0")
    record = messages.decode_record(client.request(messages.run_command(7, True, 0, RISING), 20.0))
    assert (record.status, record.decision.label) == (Status.DONE, "rises")


def test_cmake_gives_a_target_and_its_sizes(root: Path, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(user C)\n"
        "set(HIL_AGENT_REQUEST_BYTES 4096)\nset(HIL_AGENT_EXAMPLES ON)\n"
        f'add_subdirectory("{root}" agent)\n'
    )
    run(
        ["cmake", "-S", str(tmp_path), "-B", str(tmp_path / "build"), "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror"], tmp_path
    )
    run(["cmake", "--build", str(tmp_path / "build")], tmp_path)
    (program,) = (path for path in (tmp_path / "build").rglob("hil_example_stream") if path.is_file())
    with over_socket(program, [], tmp_path / "log", as_input=True) as firmware:
        result = firmware.client().request(messages.hello_command(), 20.0)
        assert messages.decode_hello(result, 0).frame_bytes == 4096


# Stand-ins for Zephyr's CMake functions: the real ones come with Zephyr, which no registry has.
ZEPHYR_STAND_IN = """
cmake_minimum_required(VERSION 3.20)
project(zephyr_stand_in C)
macro(zephyr_library_named name)
  add_library(${name} STATIC)
  set(library ${name})
endmacro()
macro(zephyr_library_sources)
  target_sources(${library} PRIVATE ${ARGV})
endmacro()
macro(zephyr_library_include_directories)
  target_include_directories(${library} PRIVATE ${ARGV})
endmacro()
macro(zephyr_include_directories)
  target_include_directories(${library} PUBLIC ${ARGV})
endmacro()
macro(zephyr_compile_definitions)
  target_compile_definitions(${library} PUBLIC ${ARGV})
endmacro()
set(CONFIG_HIL_AGENT y)
set(CONFIG_HIL_AGENT_REQUEST_BYTES 1024)
set(CONFIG_HIL_AGENT_REPLY_BYTES 700)
"""


def test_the_zephyr_module_names_files_that_compile(root: Path, tmp_path: Path) -> None:
    assert "kconfig: zephyr/Kconfig" in (root / "zephyr/module.yml").read_text()
    for size in re.findall(r"CONFIG_(HIL_\w+)", (root / "zephyr/CMakeLists.txt").read_text()):
        assert f"config {size}\n" in (root / "zephyr/Kconfig").read_text()
    (tmp_path / "CMakeLists.txt").write_text(ZEPHYR_STAND_IN + f'add_subdirectory("{root}/zephyr" module)\n')
    run(["cmake", "-S", str(tmp_path), "-B", str(tmp_path / "build"), "-DCMAKE_C_FLAGS=-Wall -Werror"], tmp_path)
    run(["cmake", "--build", str(tmp_path / "build")], tmp_path)


def test_the_manifest_names_what_is_there(root: Path) -> None:
    manifest = json.loads((root / "library.json").read_text())
    assert root.name == f"hil-agent-{manifest['version']}"
    patterns = [re.fullmatch(r"\+<(.+)>", entry)[1] for entry in manifest["build"]["srcFilter"]]
    found = sorted(path.relative_to(root).as_posix() for pattern in patterns for path in root.glob(pattern))
    assert found == sorted([*own_sources(root), *foreign_sources(root)])
    assert (root / manifest["headers"]).is_file()
    for flag in manifest["build"]["flags"]:
        assert (root / flag.removeprefix("-I")).is_dir()
    assert INCLUDES[2] == "wire"


def test_the_readme_is_short_and_nothing_is_left_to_fill_in(root: Path) -> None:
    assert len((root / "README.md").read_text().splitlines()) < 60
    assert not [path for path in root.rglob("*") if path.is_file() and b"@VERSION@" in path.read_bytes()]
    for name in ("LICENSE", "zcbor/LICENSE", "MISRA.md"):
        assert (root / name).stat().st_size > 1000, name
