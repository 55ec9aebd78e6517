"""Knows what a symbol is for by its name: usual names of arenas, rings, stacks, heaps and models, and a user's own.

A symbol that holds data is looked up in the user's patterns, then here; functions are code, or the test agent's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from hil.ledger import identifiers

Named = Mapping[str, Sequence[str]]  # group to patterns of symbols or sections, as the board file has them

_LEAST_BYTES = 32  # of what is a buffer of some kind; below it lie pointers and counters of the same name
# Words of an identifier, in the order in which they are looked for. All words of an entry must be there.
_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("arena", ("arena",)),  # TensorFlow Lite Micro, Edge Impulse, MicroPython's none
    ("arena", ("activations",)),  # X-CUBE-AI
    ("arena", ("workspace",)),  # microTVM
    ("stack", ("stack",)),  # Zephyr (z_main_stack), FreeRTOS, ThreadX, CMSIS (Stack_Mem)
    ("stack", ("stacks",)),  # Zephyr: z_interrupt_stacks
    ("heap", ("heap",)),  # FreeRTOS (ucHeap), CMSIS (Heap_Mem), Zephyr (kheap__system_heap)
    ("heap", ("kheap",)),
    ("heap", ("malloc", "pool")),
    ("heap", ("byte", "pool")),  # ThreadX
    ("model", ("tflite",)),
    ("model", ("model",)),
    ("model", ("weights",)),  # X-CUBE-AI: network_weights
    ("scratch", ("scratch",)),
    ("scratch", ("im2col",)),
    ("ring", ("rtt",)),  # _SEGGER_RTT
    ("ring", ("ac", "up", "buffer")),  # SEGGER's _acUpBuffer
    ("ring", ("ac", "down", "buffer")),
    ("ring", ("ring",)),
    ("ring", ("ringbuf",)),
    ("ring", ("ringbuffer",)),
    ("ring", ("fifo",)),
    ("agent", ("agent",)),  # a hil_agent
    *(("ring", (way, buffer)) for way in ("rx", "tx", "dma", "uart") for buffer in ("buf", "buffer")),
)
_SAYS_OF_ONE = frozenset({"hash", "name", "names", "version", "config", "info", "labels"})  # and is none itself
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# The test agent in a firmware (docs/agent.md): what a product that ships leaves out.
_AGENT = re.compile(r"^(?:hil_|zcbor_|cbor_decode_request)")
_AGENT_FILES = frozenset(
    ["agent.c", "reply.c", "framing.c", "cobs.c", "crc32.c", "rtt.c", "hil_request.c"]
    + [f"zcbor_{part}.c" for part in ("common", "decode", "encode", "print")]
)

# By the section: what a linker script or a scatter file reserves.
_SECTIONS = [
    (group, re.compile(pattern, re.IGNORECASE))
    for group, pattern in (
        ("stack", r"^\.?(?:hil_|arm_lib_|c?msp_|psp_)?stack(?:_section|_dummy)?$|^\.noinit\..*stack"),
        ("heap", r"^\.?(?:arm_lib_)?heap(?:_section)?$"),
        ("arena", r"^\.?(?:tensor_)?arena$"),
        ("model", r"^\.?(?:hil_bundle|model(?:_data)?|tflite)$"),
        ("ring", r"^\.?(?:hil_shared|rtt|segger_rtt)$"),
    )
]

# Sizes that linker scripts give as numbers; what they add up to lies in one section, `._user_heap_stack` or the like.
HEAP_NUMBERS = ("_Min_Heap_Size", "__HEAP_SIZE", "__heap_size__", "HEAP_SIZE")
STACK_NUMBERS = ("_Min_Stack_Size", "__STACK_SIZE", "__stack_size__", "STACK_SIZE")
HEAP_AND_STACK = re.compile(r"^\._?user_heap_stack$|^\.heap_stack$")
STACK_TOPS = ("_estack", "__StackTop", "__stack_top", "__stack", "_stack_top", "stack_top")
DATA_ENDS = ("_end", "end", "__end__", "__bss_end__", "_ebss")


def group_of(name: str, file: str, section: str, size: int, *, is_code: bool, in_ram: bool, named: Named) -> str:
    """The group of one symbol of `size` bytes; name: "" for what no symbol covers."""
    own = (identifiers(name) or (name,))[-1]
    for group, patterns in named.items():
        if any(fnmatchcase(text, pattern) for pattern in patterns for text in (name, own, section) if text):
            return group
    for group, pattern in _SECTIONS:
        if pattern.search(section):
            return group
    if name and not is_code and size >= _LEAST_BYTES:
        words = {part.lower() for part in _PART.findall(own)}
        for group, wanted in _WORDS:
            if words.issuperset(wanted) and not words & _SAYS_OF_ONE:
                return group
    if name and (_AGENT.match(name) or file in _AGENT_FILES):
        return "agent"
    if is_code:
        return "code"
    return "data" if in_ram else "constants"
