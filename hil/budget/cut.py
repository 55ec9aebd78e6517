"""What the image takes when it has only the operators of one model: built for real, and measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.board.config import BoardConfig
from hil.case.types import ModelFile
from hil.image.build import FIRMWARE, WITH_KERNELS, build
from hil.image.elf import Image
from hil.project.places import kit


@dataclass(frozen=True)
class CutImage:
    """Sizes in bytes, as in ImageFacts. operators: how many it has."""

    path: Path
    operators: int
    flash_bytes: int
    ram_bytes: int


def cut_image(model: ModelFile, board: BoardConfig) -> CutImage | None:
    """The firmware of this board with the operators of `model` and no others; None for a workstation's, whose sizes
    are not the product's. Raises BuildError, MissingTool or UsageError.
    """
    tflm = board.built_with()
    image = WITH_KERNELS if model.larger_image and not tflm.upstream else FIRMWARE
    needed = [name if name.isidentifier() else "CUSTOM" for name in model.operators]
    built = Image(build(board.target, kit(), tflm=tflm, image=image, needed=needed))
    facts = built.facts()
    return None if facts.host else CutImage(built.path, len({*needed}), facts.flash_bytes, facts.ram_bytes)
