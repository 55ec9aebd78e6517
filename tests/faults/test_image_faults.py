"""An image that a board cannot run is refused before anything starts, with what is wrong with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness_process import USAGE_ERROR, Finished, run_harness
from native_session import PROJECT, CaseFolder, native_image

from hil.image.build import build

pytestmark = pytest.mark.slow


def refused(folder: Path, image: Path, board: str = "qemu") -> Finished:
    """A run with `image` that ended as misuse, and left nothing in its output folder."""
    finished = run_harness(folder, f"--hil-image={image}", "small", board=board)
    assert finished.code == USAGE_ERROR, finished.text
    assert not (finished.out / "run.json").exists()
    return finished


def cortex_m(target: str = "mps2-an386") -> Path:
    return build(target, PROJECT)


def changed(image: Path, folder: Path, *options: str) -> Path:
    result = folder / "changed.elf"
    subprocess.run(["arm-none-eabi-objcopy", *options, str(image), str(result)], check=True)
    return result


def test_an_image_for_a_pc_is_refused_by_qemu(case: CaseFolder, tmp_path: Path) -> None:
    finished = refused(tmp_path, native_image().path)
    assert "built for x86_64, but this board runs arm images" in finished.text


def test_an_image_for_a_cortex_m_is_refused_by_native(case: CaseFolder, tmp_path: Path) -> None:
    finished = refused(tmp_path, cortex_m(), board="native")
    assert "built for arm, but this board runs x86_64 images" in finished.text


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_truncated_image_is_refused(case: CaseFolder, tmp_path: Path, share: float) -> None:
    whole = cortex_m().read_bytes()
    image = tmp_path / "truncated.elf"
    image.write_bytes(whole[: int(share * len(whole))])
    assert f"{image}: truncated ELF file" in refused(tmp_path, image).text


def test_an_image_of_another_target_is_refused_with_its_address(case: CaseFolder, tmp_path: Path) -> None:
    """QEMU would load it somewhere else and find no vectors: silence until the boot time-out."""
    finished = refused(tmp_path, cortex_m("stm32f429"))
    assert "bytes at 0x08000000-" in finished.text
    assert "are not in the board's flash (0x00000000-0x003fffff)" in finished.text


def test_an_image_without_a_vector_table_is_refused(case: CaseFolder, tmp_path: Path) -> None:
    finished = refused(tmp_path, changed(cortex_m(), tmp_path, "--change-addresses=0x1000"))
    assert "no vector table at 0x00000000, where the core starts" in finished.text
