"""Board files: `boards/*.toml`, one a board, read and checked."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hil.environment import environment_name
from hil.errors import MissingTool, UsageError
from hil.image.tflm import TFLM_OPTIONS, Tflm, tflm_of
from hil.validation import explain

Settings = TypeVar("Settings", bound=BaseModel)


BENCH_OPTIONS = {
    # name: help
    "hil-renode": "the Renode to run: its program or folder",
    "hil-probe": "unique id of the debug probe, when there are several",
    "hil-hardware-map": "twister hardware map (YAML) with probe ids and serial ports",
    **TFLM_OPTIONS,
}


class Timeouts(BaseModel):
    """Seconds of host time."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    boot_s: float = Field(default=10.0, gt=0)
    reply_s: float = Field(default=60.0, gt=0)


class Power(BaseModel):
    """What the product draws on this board. wake_ms and wake_uj: what one wake-up costs beside the inference itself, in
    time awake and in energy. battery_mwh: usable energy of the battery. source: where the figures come from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    active_mw: float = Field(gt=0)
    sleep_mw: float = Field(ge=0)
    wake_ms: float = Field(default=0.0, ge=0)
    wake_uj: float = Field(default=0.0, ge=0)
    battery_mwh: float | None = Field(default=None, gt=0)
    source: str = Field(min_length=1)


class TflmTable(BaseModel):
    """Which TensorFlow Lite Micro the image is built with (docs/upstream.md). Paths are relative to the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    engine: Literal["2020", "upstream"]
    include: tuple[Path, ...] = ()
    library: tuple[Path, ...] = ()


class SizesTable(BaseModel):
    """What the sizes of an image are called. symbols: group (arena, ring, scratch, stack, heap, model, or a name of
    one's own) to patterns of symbols or sections, as in `nn_*`. memory: name to first address and bytes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    symbols: dict[str, tuple[str, ...]] = {}
    memory: dict[str, tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(gt=0)]]] = {}


class FirmwareTable(BaseModel):
    """A firmware that is not ours. image: its ELF, relative to the file; none when the board is flashed elsewhere.
    build: a command that makes it, run in the folder of the file. bundle: "none" when its model is compiled in.
    model_symbol: the array with its .tflite, which is then read back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    image: Path | None = None
    build: str = ""
    build_s: float = Field(default=600.0, gt=0)
    bundle: Literal["case", "none"] = "case"
    model_symbol: str = ""


class BoardConfig(BaseModel):
    """One board file. `settings` is the table named after the kind; the kind's own module checks it. `options`: what
    differs from machine to machine and so does not stand in the file, by the names of BENCH_OPTIONS. `pool`: keys of
    that table for each device, when there are several (hil.board.pool); pool_wait_s: longest wait for a free one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    file: Path
    kind: str
    target: str
    description: str = ""
    timeout: Timeouts = Timeouts()
    power: Power | None = None
    tflm: TflmTable | None = None
    firmware: FirmwareTable | None = None
    pool: tuple[dict[str, Any], ...] = ()
    pool_wait_s: float = Field(default=3600.0, gt=0)
    sizes: SizesTable = SizesTable()
    settings: dict[str, Any] = {}
    options: dict[str, str] = {}

    @property
    def own_model(self) -> bool:
        """Whether the model is compiled into the firmware, so that nothing is provisioned beside it."""
        return self.firmware is not None and self.firmware.bundle == "none"

    def built_with(self, folder: Path | None = None) -> Tflm:
        """The TFLM of its image: what the options say, and else the file. folder: what paths in options are relative
        to, by default the current one. Raises UsageError.
        """
        own, here = Tflm(), self.file.parent
        if self.tflm is not None:
            include = tuple(here / path for path in self.tflm.include)
            library = tuple(here / path for path in self.tflm.library)
            own = Tflm(self.tflm.engine, include, library)
        return tflm_of(self.options, own, folder or Path.cwd())


def options_of_environment() -> dict[str, str]:
    """What the environment says of BENCH_OPTIONS; those that are not set are left out."""
    found = {name: os.environ.get(environment_name(name), "") for name in BENCH_OPTIONS}
    return {name: value for name, value in found.items() if value}


def board_files(folders: list[Path]) -> dict[str, Path]:
    """Board name (the file's stem) to file; a folder named earlier wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.toml"), key=lambda file: file.stem):
            found.setdefault(file.stem, file)
    return found


def load_board(name: str, folders: list[Path]) -> BoardConfig:
    """The board called `name`. Raises UsageError for an unknown name or a wrong file, with the fix."""
    files = board_files(folders)
    if name not in files:
        places = ", ".join(str(folder) for folder in folders)
        known = ", ".join(files) or f"none (no *.toml in {places})"
        close = difflib.get_close_matches(name, files, n=1)
        hint = f"did you mean --board={close[0]}?" if close else f"use one of them, or add {folders[0] / name}.toml"
        raise UsageError(f"unknown board {name!r}; known boards: {known}\n  fix: {hint}")
    return read_board(files[name])


def read_board(file: Path) -> BoardConfig:
    """Read one board file. Raises UsageError that names file, key and fix."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file}: {error}\n  fix: make it a readable TOML file, as in docs/boards.md") from error
    # First of all: the name of the kind is a key too, so a wrong kind would make the right table an unknown one.
    _check_kind(file, data.get("kind"))
    settings = data.pop(data["kind"], {})
    try:
        config = BoardConfig(name=file.stem, file=file, settings=settings, options=options_of_environment(), **data)
    except (ValidationError, TypeError) as error:
        raise UsageError(f"{file}: {explain(error, BoardConfig)}") from error
    return config


def kind_module(config: BoardConfig) -> Any:
    """The module of the board's kind. Raises UsageError when there is none."""
    _check_kind(config.file, config.kind)
    return kind_module_of(config.kind)


def kind_module_of(kind: str) -> Any:
    """The module of a kind that there is."""
    return importlib.import_module(f"hil.board.{kind}")


def _check_kind(file: Path, kind: object) -> None:
    kinds = kind_names()
    if kind not in kinds:
        problem = "is missing" if kind is None else f"there is no {kind!r}"
        raise UsageError(f"{file}: kind: {problem}\n  fix: use one of {', '.join(kinds)}")


def kind_names() -> list[str]:
    """The kinds of board: modules of hil/board that have an `open_board`."""
    return sorted(
        file.stem
        for file in Path(__file__).parent.glob("*.py")
        if "\ndef open_board(" in file.read_text(encoding="utf-8")
    )


def kind_settings(kind: str) -> type[BaseModel]:
    """The model of the table that a kind of board has of its own."""
    model: type[BaseModel] = kind_module_of(kind).Settings
    return model


def check_settings(config: BoardConfig, model: type[Settings]) -> Settings:
    """The board's own table as `model`. Raises UsageError that names file, key and fix."""
    try:
        return model.model_validate(config.settings)
    except ValidationError as error:
        raise UsageError(f"{config.file}: [{config.kind}]: {explain(error, model)}") from error


def require_packages(config: BoardConfig, extra: str, packages: Sequence[str]) -> None:
    """Raise MissingTool unless the Python packages of an optional extra are installed."""
    require_modules(f"by board {config.name!r}", extra, packages)


def require_modules(needed: str, extra: str, packages: Sequence[str]) -> None:
    """The same for what is no board yet. needed: "by ..." or "to ..."."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingTool(f"Python package {package}", needed, f"pip install -e '.[{extra}]'")
