"""case.lock: a released case does not change unnoticed, and a change needs a new version."""

from __future__ import annotations

import hashlib
import tomllib

import pytest
from case_folder import Folder, npz, windows
from tflite_builder import dense_model

from hil.case.load import load_case, write_lock
from hil.errors import CaseError


def test_a_locked_case_says_so(folder: Folder) -> None:
    assert not load_case(folder.path).locked
    write_lock(folder.path)
    assert load_case(folder.path).locked


def test_the_lock_holds_the_hash_of_every_file_sorted(folder: Folder) -> None:
    folder.write("build.py", "print('made')\n").write("README.md", "not covered\n")
    lock = tomllib.loads(write_lock(folder.toml).read_text())
    names = ["build.py", "case.toml", "model_float.tflite", "model_int8.tflite", "vectors.npz"]
    assert lock["version"] == 3
    assert list(lock["files"]) == names
    for name in names:
        assert lock["files"][name] == hashlib.sha256((folder.path / name).read_bytes()).hexdigest()


def test_locking_twice_changes_nothing(folder: Folder) -> None:
    first = write_lock(folder.path).read_bytes()
    assert write_lock(folder.path).read_bytes() == first


CHANGES = {
    "vectors.npz": npz(windows=windows() + 1, label=[0, 1, 2, 3, -1, 0]),
    "model_int8.tflite": dense_model(weight_scale=0.02),
    "build.py": "print('new')\n",
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_is_named_and_needs_a_new_version(folder: Folder, name: str) -> None:
    folder.write("build.py", "print('made')\n")
    write_lock(folder.path)
    folder.write(name, CHANGES[name])
    with pytest.raises(CaseError) as loading:
        load_case(folder.path)
    assert f"{name} changed" in loading.value.problem
    assert "raise [case] version in case.toml to 4" in loading.value.fix
    assert f"hil case lock {folder.path}" in loading.value.fix
    with pytest.raises(CaseError) as locking:
        write_lock(folder.path)
    assert f"{name} changed" in locking.value.problem
    assert "to 4 or more" in locking.value.fix

    folder.replace("version = 3", "version = 4")
    with pytest.raises(CaseError) as raised:
        load_case(folder.path)
    assert "version is 4" in raised.value.problem
    assert "raise [case]" not in raised.value.fix
    assert f"run: hil case lock {folder.path}" in raised.value.fix
    write_lock(folder.path)
    assert load_case(folder.path).version == 4


def test_a_version_that_goes_back_is_refused(folder: Folder) -> None:
    write_lock(folder.path)
    folder.replace("version = 3", "version = 2")
    with pytest.raises(CaseError, match="version 2 is not above the locked version 3"):
        write_lock(folder.path)


def test_a_file_that_the_case_gave_up_is_a_change(folder: Folder) -> None:
    folder.write("build.py", "print('made')\n")
    write_lock(folder.path)
    (folder.path / "build.py").unlink()
    with pytest.raises(CaseError, match=r"build\.py gone"):
        load_case(folder.path)


def test_faults_of_the_case_come_before_those_of_the_lock(folder: Folder) -> None:
    write_lock(folder.path)
    folder.replace("debounce = 2", "debounce = 0")
    with pytest.raises(CaseError, match=r"\[decision\] debounce"):
        load_case(folder.path)


@pytest.mark.parametrize(
    "text", ["", "version = 3\n", 'version = "3"\n[files]\n', "version = 3\n[files]\na = 'x'\n", "]"]
)
def test_a_lock_that_is_none_is_refused(folder: Folder, text: str) -> None:
    folder.write("case.lock", text)
    with pytest.raises(CaseError) as caught:
        load_case(folder.path)
    assert caught.value.file.name == "case.lock"
    assert "hil case lock" in caught.value.fix
