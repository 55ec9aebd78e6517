"""Knows what one invocation works with, a board, an image and an output folder, and opens each when it is needed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from hil.bench.command import run_command
from hil.board.base import Board
from hil.board.config import BoardConfig, FirmwareTable, kind_module
from hil.board.pool import Device, Held, Say, devices, take
from hil.errors import BuildError, UsageError
from hil.image.absent import AbsentImage
from hil.image.build import FIRMWARE, WITH_KERNELS, build, check_programs
from hil.image.elf import Image
from hil.image.tflm import TFLM_2020, UPSTREAM, UPSTREAM_SYMBOL, Tflm
from hil.project.places import kit
from hil.records import ClockSpec
from hil.report.outdir import OutDir
from hil.run.names import kept_image
from hil.run.settings import Settings


def print_it(text: str) -> None:
    """Tell a person who watches the terminal."""
    print(f"hil: {text}", file=sys.stderr, flush=True)


class Equipment:
    """Nothing is read or started before it is asked for; `close` releases everything."""

    def __init__(self, settings: Settings, say: Say = print_it) -> None:
        """say: told what is waited for."""
        self.settings, self._say = settings, say
        self._held: Held | None = None  # of a pool
        self.opened_board: Board | None = None
        self._image: Image | None = None
        self._out: OutDir | None = None
        self.larger_image = False  # whether a case needs that; said before the image is asked for

    @cached_property
    def config(self) -> BoardConfig:
        """The board's file with the options of the user. Raises UsageError for an unknown board or a wrong file."""
        config = self.settings.board_config()
        return config.model_copy(update={"options": {**config.options, **self.settings.options}})

    def check(self) -> None:
        """Whether board and build have their tools, or the board takes the image that was named. Raises UsageError."""
        with self._untouched() as board:
            self._check(board)

    @contextmanager
    def _untouched(self) -> Iterator[Board]:
        """A board to ask what it takes. Of a pool none is taken for that: who has to wait must not do so here."""
        if not self.pool:
            yield self.board()
            return
        config = self.pool[0].config
        board: Board
        with kind_module(config).open_board(config, (self.folder / f"{config.name}.log").resolve()) as board:
            yield board

    def _check(self, board: Board) -> None:
        own, takes_own = self.config.firmware, getattr(kind_module(self.config), "own_models", lambda _: False)
        if self.config.own_model and not takes_own(board.config):
            raise UsageError(
                f"{self.config.file}: [firmware] bundle: kind {self.config.kind!r} needs firmware that reads bundles\n"
                '  fix: leave bundle out, or use kind = "serial", "pyocd", "qemu" or "renode"'
            )
        if self.settings.image is not None:
            board.check_image(self.image())
            return
        if own is not None:
            if own.image is not None and not own.build:
                board.check_image(Image(self._elf_of(own)))
            return  # it is built, or was written to the board elsewhere
        if not (kit() / "firmware").is_dir():
            raise UsageError(
                f"no firmware sources in {kit()}\n  fix: install hil anew, or name an image: --hil-image=ELF"
            )
        check_programs(self.config.target)
        self.tflm.check()

    @cached_property
    def tflm(self) -> Tflm:
        """What the image is built with, unless one was named. Raises UsageError."""
        return self.config.built_with()

    @property
    def engine(self) -> str:
        """The engine of the image that was named, or of the one that will be built. A board or image that is wrong is
        told when it is needed.
        """
        try:
            if self.settings.image is not None:
                return UPSTREAM if self.image().has_symbol(UPSTREAM_SYMBOL) else TFLM_2020.engine
            if self.config.firmware is not None:
                return UPSTREAM  # nothing is known of its kernels: what it cannot compute, its outputs show
            return self.tflm.engine
        except UsageError:
            return TFLM_2020.engine

    def image(self) -> Image:
        """The image under test: the one named, else built from the sources. Raises BuildError or UsageError."""
        if self._image is None:
            own = self.config.firmware
            if self.settings.image is None and own is not None and own.image is None:
                self._build_of(own)
                self._image = AbsentImage()
            else:
                self._image = Image(self.settings.image or self._built())
        return self._image

    def _build_of(self, own: FirmwareTable) -> None:
        """Run the command of the board file, where it has one. Raises BuildError."""
        file = self.config.file
        if own.build and (failure := run_command(own.build, own.build_s, file.parent)):
            raise BuildError(f"{own.build}: {failure}\n  next: run it by hand in {file.parent}; it is build of {file}")

    def _elf_of(self, own: FirmwareTable) -> Path:
        """The ELF that the board file names. Raises UsageError when it is not there."""
        path = self.config.file.parent / (own.image or "")
        if not path.is_file():
            fix = "name the ELF as seen from the board file" if own.build else "build it, or name a command: build"
            raise UsageError(f"{self.config.file}: [firmware] image: there is no {path}\n  fix: {fix}")
        return path

    def _built(self) -> Path:
        """A copy, so that another build does not change the image under a run."""
        target, folder = self.config.target, self.folder
        log, copy = folder / f"build.{target}.log", folder / kept_image(target)
        if (own := self.config.firmware) is not None:
            self._build_of(own)
            folder.mkdir(parents=True, exist_ok=True)
            return Path(shutil.copy(self._elf_of(own), copy))
        image = WITH_KERNELS if self.larger_image and not self.tflm.upstream else FIRMWARE
        return build(target, kit(), log=log, copy_to=copy, tflm=self.tflm, image=image)

    def board(self) -> Board:
        """The one board, opened on first use; of a pool, a device that is free. Raises MissingTool or UsageError, and
        BoardBroken when none becomes free.
        """
        if self.opened_board is None:
            config, log = self.config, self.folder / self.log_name(self.config.name)
            if self.pool:
                self._held = self._held or self._take()
                config = self._held.device.config
            board: Board = kind_module(config).open_board(config, log.resolve())
            self.opened_board = board
        return self.opened_board

    @property
    def clock(self) -> ClockSpec:
        """Of the board, whether it could be opened or not."""
        with self._untouched() as board:
            return (self.opened_board or board).clock

    @cached_property
    def pool(self) -> tuple[Device, ...]:
        """The devices of a board that there is several times; none of any other. Raises UsageError."""
        return devices(self.config)

    @property
    def device(self) -> str:
        """The device of a pool that this process holds; "" when it holds none."""
        return self._held.device.name if self._held is not None else ""

    def _take(self) -> Held:
        return take(self.config, self.pool, self._say)

    def close_board(self) -> None:
        """Safe to call twice; `board` opens another one."""
        board, self.opened_board = self.opened_board, None
        held, self._held = self._held, None
        try:
            if board is not None:
                board.close()
        finally:
            if held is not None:
                held.close()

    def log_name(self, stem: str) -> str:
        """File name of a log that this process writes alone."""
        return f"{stem}.log"

    # ---- the output folder

    def take_output(self) -> None:
        """Keep other runs out of it. Raises UsageError."""
        self._out = OutDir(self.settings.out)

    @property
    def has_output(self) -> bool:
        """Whether the output folder is this run's."""
        return self._out is not None

    @property
    def folder(self) -> Path:
        """The output folder."""
        return self.settings.out

    def write(self, name: str, data: bytes) -> Path:
        """A whole file in the output folder. Raises UsageError."""
        if self._out is None:
            raise UsageError("the output folder is not open")
        return self._out.write(name, data)

    def close(self) -> None:
        """Release board and output folder. Safe to call twice."""
        out, self._out = self._out, None
        try:
            self.close_board()
        finally:
            if out is not None:
                out.close()
