"""Knows the ELF that a finished run kept in its folder, as far as it is still the one that was judged."""

from __future__ import annotations

from hil.errors import UsageError
from hil.image.elf import Image
from hil.ledger import Ledger
from hil.runfile import Run


def kept_image(run: Run, sha256: str) -> Image | None:
    """The image of that hash; None when the run kept none, or another one lies there by now."""
    firmware = run.document.manifest.firmware
    if firmware is None or not firmware.kept:
        return None
    try:
        image = Image(run.folder / firmware.kept)
    except UsageError:
        return None
    return image if image.sha256 == sha256 else None


def kept_ledger(run: Run, sha256: str) -> Ledger:
    """Its sizes by symbol; an empty ledger when the image is not there."""
    image = kept_image(run, sha256)
    return Ledger() if image is None else image.ledger()
