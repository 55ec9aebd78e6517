"""Knows whether a case's bundle fits where its target keeps bundles; told before anything is written there."""

from __future__ import annotations

from hil.board.base import Board
from hil.board.config import BoardConfig
from hil.bundle import build_bundle
from hil.case.types import OWN, Case
from hil.errors import CaseError
from hil.image.elf import Image
from hil.session.arena import arena_of


def bundle_of(case: Case, board: Board, image: Image) -> bytes:
    """What is provisioned beside the image; nothing where the firmware's model is compiled in."""
    require_known_stages(case, board.config)
    return b"" if board.config.own_model else build_bundle(case, arena_of(case, image))


def require_known_stages(case: Case, board: BoardConfig) -> None:
    """Raises CaseError when the case has a stage of the product's own, and the board runs our image, which has none."""
    if case.own_stages and not board.own_model:
        key = case.own_stages[0]
        problem = f'"{OWN}" is a stage of the product\'s own, and board {board.name!r} runs the image of this project'
        fix = f'write [firmware] bundle = "none" into {board.file.name} for firmware of yours (docs/boards.md)'
        raise CaseError(case.path, key, problem, fix)


def require_room(case: Case, image: Image, bundle_bytes: int) -> None:
    """Raises CaseError that names the model and both sizes when a bundle of so many bytes is too large."""
    room = image.symbol("__hil_bundle_bytes")
    if bundle_bytes > room:
        problem = (
            f"it has {len(case.model.data):,} bytes, {bundle_bytes:,} with its bundle, and the image {image.path.name} "
            f"has room for {room:,}"
        )
        fix = "take a smaller model, or enlarge __hil_bundle_bytes in the target's linker script (docs/porting.md)"
        raise CaseError(case.model.path, "", problem, fix)
