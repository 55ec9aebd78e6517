"""A bare-metal firmware with a heap of newlib and a .tflite in its flash: a leak is found, and another model than the
case's in the ELF and in the flash of the board; the stack is measured though the firmware does not measure it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from c_bare_bench import EXAMPLE, Mistake, built, copy_of, verdicts

from hil.contract.types import CheckResult, Outcome

pytestmark = pytest.mark.slow

WRONG_AT = 1000  # byte of the model
DEEP = 1500  # bytes of stack that a window takes beside the rest, of 4,096
PRODUCT = "src/product.c"
# As docs/agent.md shows it, over an sbrk() of the firmware's own. Each window takes some scratch memory and forgets it.
HEAP = """
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#define HEAP_BYTES 8192u
#define DEEP_BYTES {deep}u
#define MODEL_BYTES {size}u
void* _sbrk(ptrdiff_t more);
extern const uint8_t model_right[MODEL_BYTES];
extern const uint8_t model_other[MODEL_BYTES];
const uint8_t model_right[MODEL_BYTES] = {{{right}}};
const uint8_t model_other[MODEL_BYTES] = {{{other}}};
static uint8_t heap_memory[HEAP_BYTES];
static size_t taken;
void* _sbrk(ptrdiff_t more) {{
  void* const block = heap_memory + taken;
  if (taken + (size_t)more > HEAP_BYTES) {{
    return (void*)-1;
  }}
  taken += (size_t)more;
  return block;
}}
static bool heap(void* context, hil_heap* told) {{
  (void)context;
  const struct mallinfo now = mallinfo();
  told->used = (uint32_t)now.uordblks;
  told->peak = (uint32_t)now.arena;
  told->size = HEAP_BYTES;
  told->failed = HIL_NOT_TOLD;
  return true;
}}
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    right = (EXAMPLE / "case" / "model_int8.tflite").read_bytes()
    other = bytearray(right)
    other[WRONG_AT] ^= 0x21
    lists = {name: ", ".join(map(str, data)) for name, data in (("right", right), ("other", other))}
    copy = copy_of(
        EXAMPLE,
        tmp_path_factory.mktemp("heap"),
        Mistake(
            PRODUCT,
            '#include "network.h"\n',
            '#include "network.h"\n' + HEAP.format(size=len(right), deep=DEEP, **lists),
        ),
        Mistake(PRODUCT, "  front_end(window, self.input);\n", "  front_end(window, self.input);\n  leak();\n"),
        Mistake(PRODUCT, "/* What the product does with a window. */", LEAK),
        Mistake(PRODUCT, ".test = self_test};", ".test = self_test, .heap = heap};"),
        Mistake("Makefile", "-specs=nano.specs", "-specs=nano.specs -specs=nosys.specs"),
        Mistake("case/case.toml", "ram_bytes = 6_000\n", "ram_bytes = 20_000\nheap_bytes = 8000\n"),
        Mistake("case/case.toml", "flash_bytes = 16_000\n", "flash_bytes = 40_000\n"),
    )
    (copy / "case" / "case.lock").unlink()
    return copy


LEAK = """static void leak(void) {
  void* volatile const scratch = malloc(8);
  const uint8_t* volatile kept = model_right; /* the linker drops what nobody names */
  kept = model_other;
  volatile uint8_t deep[DEEP_BYTES];
  deep[0] = 1;
  (void)deep[0];
  (void)scratch;
  (void)kept;
}

/* What the product does with a window. */"""


def judged(example: Path, board: str, symbol: str) -> dict[str, CheckResult]:
    built(example, board)
    file = example / "boards" / f"{board}.toml"
    text = file.read_text(encoding="utf-8")
    bundle = [line for line in text.splitlines() if line.startswith("bundle = ")]
    file.write_text(text.replace(bundle[0], f'bundle = "none"\nmodel_symbol = "{symbol}"'), encoding="utf-8")
    return {result.check: result for result in verdicts(example, board)}


def test_a_leak_is_found_and_the_model_is_the_right_one(example: Path) -> None:
    """The model is read through QEMU's debug stub."""
    results = judged(example, "bare-qemu", "model_right")
    growth = results["memory.heap_growth"]
    assert growth.outcome is Outcome.FAILED
    assert " bytes a window; used up in " in growth.findings[0].observed
    assert results["execution.output"].outcome is Outcome.PASSED
    assert results["memory.stack"].outcome is Outcome.NOT_JUDGED
    model = results["execution.model"]
    assert (model.outcome, "read back from target memory at 0x" in model.reason) == (Outcome.PASSED, True)


def test_another_model_is_found_in_the_flash_of_the_board_and_the_stack_is_measured(example: Path) -> None:
    """Through the probe. The firmware tells the hash of the right one, and nothing of its stack."""
    results = judged(example, "bare-nucleo-virtual", "model_other")
    (finding,) = results["execution.model"].findings
    assert f"at byte {WRONG_AT:,}" in finding.expected
    assert "1 bytes differ, read from target memory at 0x08" in finding.observed
    stack = results["memory.stack"]
    assert stack.outcome is Outcome.PASSED
    assert stack.value is not None
    assert DEEP < stack.value < 4096
    assert stack.reason.startswith("painted and read by the harness, over ")
