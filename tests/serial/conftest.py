import pytest
from firmware_copy import FirmwareCopy
from own_firmware import OWN

from hil.image.elf import Image


@pytest.fixture(scope="module")
def own_image(firmware_copy: FirmwareCopy) -> Image:
    """Firmware that holds its own model."""
    return firmware_copy.image("own", OWN)
