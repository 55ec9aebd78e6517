"""The code that a guide gives compiles: against stand-ins for what HAL, Arduino and ESP-IDF declare, and with the agent
laid out as the guide has it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from agent_package import run, unpacked
from native_session import PROJECT

GUIDES = PROJECT / "docs" / "guides"

HAL = """
#include <stdint.h>
#include <string.h>
#include "agent/hil_agent.h"
typedef struct { volatile uint32_t counter; } DMA_HandleTypeDef;
typedef enum { HAL_UART_STATE_READY = 0x20 } HAL_UART_StateTypeDef;
typedef struct { DMA_HandleTypeDef *hdmarx; volatile HAL_UART_StateTypeDef gState; } UART_HandleTypeDef;
typedef enum { HAL_OK, HAL_ERROR } HAL_StatusTypeDef;
#define __HAL_DMA_GET_COUNTER(handle) ((handle)->counter)
HAL_StatusTypeDef HAL_UART_Transmit_DMA(UART_HandleTypeDef *uart, const uint8_t *data, uint16_t size);
uint32_t HAL_GetTick(void);
"""
ESP = """
#include <stdint.h>
#include "agent/hil_agent.h"
typedef int esp_err_t;
typedef int uart_port_t;
typedef uint32_t TickType_t;
#define ESP_OK 0
#define UART_NUM_1 1
int uart_read_bytes(uart_port_t port, void *data, uint32_t length, TickType_t ticks);
int uart_write_bytes(uart_port_t port, const void *data, size_t size);
esp_err_t uart_get_tx_buffer_free_size(uart_port_t port, size_t *size);
int64_t esp_timer_get_time(void);
void vTaskDelay(TickType_t ticks);
"""
PORT = "const hil_port line = {.read = line_read, .write = line_write, .time = line_time};\n"
ARDUINO = """
#include <cstddef>
#include <cstdint>
struct HardwareSerial {
  void begin(unsigned long baud);
  int available();
  int read();
  int availableForWrite();
  size_t write(const uint8_t* data, size_t size);
};
extern HardwareSerial Serial;
unsigned long millis();
"""
IDF = """
cmake_minimum_required(VERSION 3.16)
project(stand_in C)
function(idf_component_register)
  cmake_parse_arguments(it "" "" "SRCS;INCLUDE_DIRS;PRIV_INCLUDE_DIRS" ${ARGN})
  add_library(component STATIC ${it_SRCS})
  target_include_directories(component PUBLIC ${it_INCLUDE_DIRS} PRIVATE ${it_PRIV_INCLUDE_DIRS})
  set(COMPONENT_LIB component PARENT_SCOPE)
endfunction()
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("package"))


def given(guide: str, language: str) -> str:
    """All blocks of the guide in this language, one behind the other."""
    text = (GUIDES / f"{guide}.md").read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    assert found, f"{guide}: no block of {language}"
    return "\n".join(found)


@pytest.mark.parametrize(("guide", "declared"), [("cubeide", HAL), ("esp-idf", ESP)])
def test_the_line_of_a_guide_compiles(guide: str, declared: str, root: Path, tmp_path: Path) -> None:
    file = tmp_path / "line.c"
    file.write_text(declared + given(guide, "c") + "\n" + PORT, encoding="utf-8")
    flags = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-fsyntax-only")
    run(["arm-none-eabi-gcc", *flags, f"-I{root}", str(file)], tmp_path)


def test_the_arduino_library_compiles_with_its_one_include_folder(root: Path, tmp_path: Path) -> None:
    """As the page's commands lay it out, which tests/docs types."""
    library = tmp_path / "src"
    for name in ("agent", "link"):
        shutil.copytree(root / name, library / name)
    for folder in ("wire", "zcbor/src", "zcbor/include"):
        for file in (root / folder).iterdir():
            shutil.copy(file, library)
    for source in sorted(library.rglob("*.c")):
        run(["arm-none-eabi-gcc", "-mcpu=cortex-m0plus", "-w", f"-I{library}", "-fsyntax-only", str(source)], tmp_path)
    sketch = tmp_path / "sketch.cpp"
    sketch.write_text(ARDUINO + given("arduino", "cpp"), encoding="utf-8")
    flags = ("-mcpu=cortex-m0plus", "-std=gnu++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only")
    run(["arm-none-eabi-g++", *flags, f"-I{library}", str(sketch)], tmp_path)


def test_the_esp_idf_component_builds(root: Path, tmp_path: Path) -> None:
    """With a stand-in for idf_component_register, as a library of this machine."""
    shutil.copytree(root, tmp_path / "hil-agent")
    (tmp_path / "CMakeLists.txt").write_text(IDF + given("esp-idf", "cmake"), encoding="utf-8")
    run(["cmake", "-S", ".", "-B", "out"], tmp_path)
    run(["cmake", "--build", "out"], tmp_path)
    assert (tmp_path / "out" / "libcomponent.a").is_file()


def test_a_guide_is_short() -> None:
    for guide in GUIDES.glob("*.md"):
        assert len(guide.read_text(encoding="utf-8").splitlines()) < 60, guide.name
