"""What the firmware says of its memory is held to what lies there, and it is shown damage that it must report."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hil.contract.instruments.marks import NO_MEMORY, Engine, Mark, MemoryTest, Plant, Sizes
from hil.errors import BoardBroken, BoardError, DeviceEnded
from hil.image.elf import Image
from hil.link.rtt import Memory
from hil.records import Can, Record
from hil.session.arena import ARENA, CANARY_BYTES, arena_of, pointer_ratio, static_arena
from hil.session.own_windows import usual_vector
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step

# What docs/link.md says of the firmware's memory.
CANARY, STACK_PAINT = 0xD7B4E269, 0x5AC3B19D
ARENA_PAINTS = (0xA5C35A3C, 0x5A3CA5C3)  # one start, and the next
_PAINT = "hil_arena_paint"  # which of these it is; an image without it has the first one
_ENGINE, _STACK_LOW, _STACK_TOP = "hil_engine", "__hil_stack_low", "__hil_stack_top"
_ALIGNMENT = 16  # of the arena's share
_BELOW, _ABOVE = 1, 2  # bits of `canaries` in a record
_LEAST_WORDS = 8  # of paint, to plant a word in
Words = NDArray[np.uint32]


def _collect(run: SessionState) -> MemoryTest:
    vector = usual_vector(run)
    if run.stopped or vector == NO_VECTOR:
        return MemoryTest()
    test = _MemoryTest(run, vector)
    return run.attempt(NO_VECTOR, test.all) or MemoryTest()


class _MemoryTest:
    """Reads and plants between windows that it sends; what they raise goes through."""

    def __init__(self, run: SessionState, vector: int) -> None:
        self._run, self._image = run, run.image
        self._window = run.case.vectors.payload(vector)

    @cached_property
    def _share(self) -> int:
        if self._run.device.board.config.own_model and not self._image.has_symbol(ARENA):
            return 0  # whatever it has in place of an arena is not looked at
        return arena_of(self._run.case, self._image) * pointer_ratio(self._image) // _ALIGNMENT * _ALIGNMENT

    def all(self) -> MemoryTest:
        base = self._image.symbol(ARENA) + CANARY_BYTES if self._image.has_symbol(ARENA) else 0
        try:
            with self._run.device.board.outside() as outside:
                if outside.memory is None:
                    return MemoryTest(tried=True, blind=NO_MEMORY, sizes=_sizes(self._image))
                found = MemoryTest(sizes=_sizes(self._image), share=self._share, arena_address=base)
                return self._looked(found, outside.memory)
        except (BoardBroken, DeviceEnded):
            raise
        except BoardError as error:
            text = f"the board gives no memory to read: {str(error).splitlines()[0]}"
            return MemoryTest(tried=True, blind=text, sizes=_sizes(self._image))

    def _looked(self, found: MemoryTest, memory: Memory) -> MemoryTest:
        engine = self._engine(memory)
        canaries, arena, plants = None, None, []
        if not self._run.device.hello.can & Can.MARKS:
            return replace(found, tried=True, engine=engine)
        if found.arena_address:
            canaries = self._canaries(memory, found.arena_address)
            plants = [*self._plants(memory, found.arena_address)]
            arena = self._arena(memory, found.arena_address)
        stack = self._stack(memory)
        return MemoryTest(
            True, "", found.sizes, found.share, found.arena_address, canaries, tuple(plants), arena, stack, engine
        )

    def _send(self) -> Record:
        return self._run.device.run(self._window, deadline_ticks=self._run.deadline_ticks)

    def _engine(self, memory: Memory) -> Engine | None:
        if not self._image.has_symbol(_ENGINE):
            return None
        model_at, model_bytes, arena_at, arena_bytes = _words(memory, self._image.symbol(_ENGINE), 16).tolist()
        try:
            digest = hashlib.sha256(memory.read(model_at, model_bytes)).hexdigest()
        except (BoardBroken, DeviceEnded):
            raise
        except BoardError:  # it lies in a memory that the harness does not reach
            digest = ""
        return Engine(model_at, model_bytes, arena_at, arena_bytes, digest)

    # ---- arena

    def _canaries(self, memory: Memory, base: int) -> tuple[int, int]:
        wanted = np.full(CANARY_BYTES // 4, CANARY, np.uint32).view(np.uint8)
        below, above = (
            np.frombuffer(memory.read(at, CANARY_BYTES), np.uint8) for at in (base - CANARY_BYTES, base + self._share)
        )
        return int((below != wanted).sum()), int((above != wanted).sum())

    def _plants(self, memory: Memory, base: int) -> list[Plant]:
        end = base + self._share
        found = []
        for place, at, side in (
            ("at the start of the canary below the arena", base - CANARY_BYTES, _BELOW),
            ("directly below the arena", base - 1, _BELOW),
            ("directly above the arena", end, _ABOVE),
            ("at the end of the canary above the arena", end + CANARY_BYTES - 1, _ABOVE),
        ):
            memory.write(at, bytes([memory.read(at, 1)[0] ^ 0xFF]))
            found.append(Plant(place, side, self._send().canaries))
            found.append(Plant(f"{place}, one window later", 0, self._send().canaries))
        return found

    def _arena(self, memory: Memory, base: int) -> Mark:
        """The mark is the share less its longest stretch of paint. Without any paint left it is the whole share."""
        painted = _words(memory, base, self._share) == self._paint(memory)
        stretches = _stretches(painted)
        longest = max((stop - start for start, stop in stretches), default=0)
        after = self._send().arena_high_water
        if longest < _LEAST_WORDS:
            return Mark(self._share - 4 * longest, after)
        for start, stop in stretches:
            memory.write(base + 4 * start, bytes(4 * (stop - start)))
        return Mark(self._share - 4 * longest, after, self._share, self._send().arena_high_water)

    def _paint(self, memory: Memory) -> int:
        said = int(_words(memory, self._image.symbol(_PAINT), 4)[0]) if self._image.has_symbol(_PAINT) else 0
        return said if said in ARENA_PAINTS else ARENA_PAINTS[0]

    # ---- stack

    def _stack(self, memory: Memory) -> Mark | None:
        """Its mark counts from the top to the lowest word that is no paint."""
        if not self._image.has_symbol(_STACK_LOW) or not self._image.has_symbol(_STACK_TOP):
            return None
        low = self._image.symbol(_STACK_LOW)
        size = min(self._run.device.hello.stack_bytes, self._image.symbol(_STACK_TOP) - low) // 4 * 4
        try:
            used = _words(memory, low, size) != STACK_PAINT
        except (BoardBroken, DeviceEnded):
            raise
        except BoardError:  # it lies in a memory that the harness does not reach
            return None
        painted = int(used.argmax()) if used.any() else len(used)
        after = self._send().stack_high_water
        if painted < _LEAST_WORDS:
            return Mark(size - 4 * painted, after)
        memory.write(low + 4 * (painted // 2), bytes(4))
        return Mark(size - 4 * painted, after, size - 4 * (painted // 2), self._send().stack_high_water)


def _sizes(image: Image) -> Sizes:
    both = image.has_symbol(_STACK_LOW) and image.has_symbol(_STACK_TOP)
    stack = image.symbol(_STACK_TOP) - image.symbol(_STACK_LOW) if both else None
    return Sizes(static_arena(image), stack)


def _words(memory: Memory, address: int, size: int) -> Words:
    return np.frombuffer(memory.read(address, size), "<u4")


def _stretches(painted: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and stop of each run of words that are paint."""
    edges = np.flatnonzero(np.diff(painted.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


STEP = Step(MemoryTest, Scope.LEAD, _collect)
