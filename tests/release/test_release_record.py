"""Release records: packed whole or not at all, and every later change is named."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_session import native_image
from release_project import CASE, CHECK, QUARANTINED, Project, entry

import hil.release.pack
from hil.errors import UsageError
from hil.release.keys import make_key, read_public_key
from hil.release.record import RECORD_FILE, Record, record_bytes
from hil.release.sums import SIGNATURE_FILE, SUMS_FILE, hash_files, parse_sums, sums_text
from hil.release.verify import verify
from hil.runfile import seal


def pack(project: Project, *options: str | Path, out: str = "record") -> tuple[int, Path]:
    """Exit code and folder of `hil release`. A page that names the seal stands in for the one that a run leaves."""
    (project.folder / "native" / "report.html").write_text(project.run().document.seal, encoding="utf-8")
    arguments = ("--policy", project.folder, "--out", project.folder / out, *options)
    return project.hil("release", project.folder / "native", *arguments)[0], project.folder / out


def record_of(folder: Path) -> Record:
    return Record.model_validate_json((folder / RECORD_FILE).read_bytes())


@pytest.fixture(scope="module")
def signed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed record, and its public key beside it."""
    project = Project(tmp_path_factory.mktemp("signed"), template)
    project.quarantine(entry()).fail(quarantine=QUARANTINED)
    make_key(project.folder / "key.pem")
    code, folder = pack(project, "--key", project.folder / "key.pem", "--note", "first")
    assert code == 0
    return folder


@pytest.fixture(scope="module")
def unsigned(signed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without a signature, as `hil release` writes it without a key."""
    folder = tmp_path_factory.mktemp("unsigned") / "record"
    shutil.copytree(signed, folder)
    (folder / SIGNATURE_FILE).unlink()
    (folder / "signer.pem").unlink()
    forge(folder, lambda record: record.update(signer=""))
    return folder


@pytest.fixture
def copy(unsigned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(unsigned, tmp_path / "copy"))


def public_key(signed: Path) -> Path:
    return signed.parent / "key.pub.pem"


def forge(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Change record.json and write all hashes anew, as who has no key could."""
    document = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    change(document)
    document["files"] = {name: digest for name, digest in hash_files(folder).items() if name != RECORD_FILE}
    (folder / RECORD_FILE).write_bytes(record_bytes(document))
    (folder / SUMS_FILE).write_text(sums_text(hash_files(folder)), encoding="utf-8")


# ---- packing


def test_a_record_holds_the_evidence(signed: Path) -> None:
    names = {path.relative_to(signed).as_posix() for path in signed.rglob("*") if path.is_file()}
    assert names == {
        "record.json",
        "SHA256SUMS",
        "SHA256SUMS.sig",
        "signer.pem",
        "release.toml",
        "quarantine.toml",
        "budget.txt",
        "budget.json",
        f"cases/{CASE}/MODEL_CARD.md",
        "runs/native/run.json",
        "runs/native/report.html",
        "runs/native/summary.md",
        f"runs/native/{CASE}.native.npz",
        f"runs/native/{CASE}.native.log",
    }


def test_record_json_says_what_was_released(signed: Path) -> None:
    record = record_of(signed)
    assert (record.ready, record.allowed_failed, record.reasons, record.note) == (True, False, [], "first")
    result = record.results[0]
    run = json.loads((signed / result.run).read_text(encoding="utf-8"))
    case = run["cases"][0]
    assert (result.firmware.image.sha256, result.bundle.sha256) == (case["image"]["sha256"], case["bundle"]["sha256"])
    assert result.model.sha256 == case["manifest"]["model_sha256"]
    assert sum(result.outcomes.values()) == len(case["checks"])
    assert [(check.check, check.expires) for check in result.open if check.outcome == "failed"] == [
        (CHECK, "2999-12-31")
    ]
    assert record.seal == seal(json.loads((signed / RECORD_FILE).read_text(encoding="utf-8")))


def test_sha256sum_accepts_a_record(signed: Path) -> None:
    done = subprocess.run(["sha256sum", "--strict", "-c", SUMS_FILE], cwd=signed, capture_output=True, text=True)
    assert (done.returncode, done.stdout.count(": OK")) == (0, 12)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_accepts_the_signature(signed: Path) -> None:
    files = ("-in", SUMS_FILE, "-sigfile", SIGNATURE_FILE, "-inkey", public_key(signed))
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", *files], cwd=signed, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_the_image_that_ran_is_part_of_the_record_and_another_is_not(project: Project) -> None:
    elf = project.folder / "native" / "native.elf"
    shutil.copy(native_image().path, elf)
    folder = pack(project)[1]
    assert record_of(folder).results[0].firmware.file == "firmware/native.elf"
    assert verify(folder).whole
    elf.write_bytes(b"another")
    folder = pack(project, out="other")[1]
    assert record_of(folder).results[0].firmware.file == ""
    assert not (folder / "firmware").exists()


def test_a_release_that_is_not_ready_leaves_nothing(project: Project) -> None:
    project.fail()
    code, folder = pack(project)
    assert (code, folder.exists()) == (1, False)


def test_a_release_that_is_not_ready_can_be_packed_on_purpose_and_says_so(project: Project) -> None:
    project.fail()
    code, folder = pack(project, "--allow-failed")
    record, verified = record_of(folder), verify(folder)
    assert (code, record.ready, record.allowed_failed) == (0, False, True)
    assert [row["check"] for row in record.reasons] == [CHECK]
    assert verified.whole
    assert any("the gate said no" in note for note in verified.notes)


def test_a_tampered_run_can_be_packed_on_purpose_and_verifies_as_what_it_is(project: Project) -> None:
    next((project.folder / "native").glob("*.npz")).write_bytes(b"nothing")
    folder = pack(project, "--allow-failed")[1]
    assert record_of(folder).reasons[0]["kind"] == "cannot be trusted"
    assert verify(folder).whole


def test_a_folder_that_is_there_is_never_written_over(project: Project) -> None:
    (project.folder / "record").mkdir()
    with pytest.raises(UsageError, match="record: is there already\n  fix: "):
        pack(project)


@pytest.mark.parametrize("error", [KeyboardInterrupt, UsageError("no")])
def test_a_record_appears_whole_or_not_at_all(project: Project, monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    def stop(*_: object) -> str:
        raise error

    before = sorted(path.name for path in project.folder.iterdir())
    monkeypatch.setattr(hil.release.pack, "model_card", stop)
    with pytest.raises(error if isinstance(error, type) else UsageError):
        pack(project)
    assert sorted(path.name for path in project.folder.iterdir()) == before


def test_the_commit_is_recorded_and_an_uncommitted_change_stops(project: Project) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(project.folder), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    project.policy(clean_tree="true")
    (project.folder / ".gitignore").write_text("/record/\n/native/\n", encoding="utf-8")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "all")
    folder = pack(project)[1]
    assert record_of(folder).source.commit == git("rev-parse", "HEAD")
    elsewhere = {"commit": "5" * 40, "changed": True}
    project.edit(lambda document: document["manifest"].update(source=elsewhere))
    (reason,) = project.decide().reasons
    assert "its firmware was built from commit 555555555555 with uncommitted changes" in reason.what
    project.edit(lambda document: document["manifest"].update(source=None))
    (project.folder / "new file").write_text("", encoding="utf-8")
    reasons = project.decide().reasons
    assert ["1 file is not as committed: new file" in reason.what for reason in reasons] == [True]


@pytest.mark.slow
def test_a_page_of_another_run_is_not_packed_but_made_anew(project: Project) -> None:
    (project.folder / "native" / "report.html").write_text("of another run", encoding="utf-8")
    code, _ = project.hil(
        "release", project.folder / "native", "--policy", project.folder, "--out", project.folder / "r"
    )
    page = (project.folder / "r" / "runs" / "native" / "report.html").read_text(encoding="utf-8")
    assert code == 0
    assert project.run().document.seal in page
    assert page.startswith("<!doctype html>")


# ---- the model card


def test_the_card_names_classes_wrong_vectors_and_known_failures(project: Project) -> None:
    project.quarantine(entry()).fail(quarantine=QUARANTINED)
    records = project.records()
    name, row = str(records["name"][4]), int(records["expected_label"][4])
    labels = ["badminton", "running", "standing", "walking"]
    count, other = int((records["expected_label"] == row).sum()), (row + 1) % 4

    def change(columns: dict[str, np.ndarray]) -> None:
        columns["answer"][4] = columns["reference_answer"][4] = other

    project.edit_records(change)
    folder = pack(project, "--allow-failed")[1]
    card = (folder / "cases" / CASE / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"* vector {name}: answered {labels[other]}, it is {labels[row]}" in card
    assert "execution.repeat fails, in quarantine until 2999-12-31: known (https://tracker.example/7)" in card
    assert f"| {labels[row]} | {count} | {count - 1} |" in card
    assert "Some windows | of imu_motion." in card


def test_nothing_of_a_case_is_markup_in_its_card(project: Project) -> None:
    hostile = "<script>|x|\n# head `c` [a](b) *b*"
    project.edit_case(lambda case: case["manifest"].update(source=hostile))
    folder = pack(project, "--allow-failed")[1]
    card = (folder / "cases" / CASE / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "\\<script\\>\\|x\\| \\# head \\`c\\` \\[a\\](b) \\*b\\*" in card


# ---- verifying


def test_an_untouched_record_is_whole(signed: Path, unsigned: Path) -> None:
    key = read_public_key(public_key(signed))
    assert verify(signed, key).problems == verify(signed).problems == verify(unsigned).problems == ()


def test_the_command_ends_with_0_or_1(project: Project, signed: Path, tmp_path: Path) -> None:
    code, text = project.hil("release", "verify", signed, "--public-key", public_key(signed))
    assert (code, "as it was packed on" in text) == (0, True)
    changed = shutil.copytree(signed, tmp_path / "changed")
    (changed / "budget.txt").write_text("", encoding="utf-8")
    code, text = project.hil("release", "verify", changed)
    assert (code, "changed: budget.txt" in text, "NOT as it was packed: 1 problem" in text) == (1, True, True)


def test_what_is_no_record_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no release record"):
        verify(tmp_path)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_changed_byte_is_named(signed: Path, unsigned: Path, data: st.DataObject) -> None:
    folder = data.draw(st.sampled_from([signed, unsigned]))
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.stat().st_size)
    name = data.draw(st.sampled_from([name for name in names if (folder / name).is_file()]))
    file = folder / name
    content = file.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    try:
        file.write_bytes(content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :])
        problems = verify(folder).problems
    finally:
        file.write_bytes(content)
    assert any(name in problem for problem in problems), (name, at, problems)


def test_a_changed_byte_is_blamed_on_its_file_alone(copy: Path) -> None:
    for name in [*parse_sums((copy / SUMS_FILE).read_text(encoding="utf-8"))]:
        content = (copy / name).read_bytes()
        if not content or name == RECORD_FILE:
            continue
        (copy / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert verify(copy).problems == (f"changed: {name}",)
        (copy / name).write_bytes(content)


def test_a_missing_an_additional_and_a_linked_file_are_named(copy: Path) -> None:
    (copy / "budget.txt").rename(copy / "runs" / "more.txt")
    (copy / "budget.json").unlink()
    (copy / "budget.json").symlink_to("/etc/hostname")
    problems = verify(copy).problems
    assert problems == ("changed: budget.json: is no plain file", "missing: budget.txt", "additional: runs/more.txt")


def test_a_missing_list_of_sums_is_named(copy: Path) -> None:
    (copy / SUMS_FILE).unlink()
    assert f"missing: {SUMS_FILE}" in verify(copy).problems


def test_a_missing_record_is_named(copy: Path) -> None:
    (copy / RECORD_FILE).unlink()
    assert f"missing: {RECORD_FILE}" in verify(copy).problems


def test_another_key_is_named(signed: Path, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other.pem")[0]
    assert verify(signed, read_public_key(other)).problems[0].startswith("signed by another key: ")


def test_an_unsigned_record_is_told_and_is_a_problem_for_who_has_a_key(signed: Path, unsigned: Path) -> None:
    assert any("not signed" in note for note in verify(unsigned).notes)
    assert verify(unsigned, read_public_key(public_key(signed))).problems[0].startswith("not signed: ")


def test_a_signature_that_was_taken_away_is_missed(signed: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(signed, tmp_path / "bare")
    (folder / SIGNATURE_FILE).unlink()
    assert verify(folder).problems == (f"missing: {SIGNATURE_FILE}",)


def test_who_writes_all_sums_anew_breaks_the_signature(signed: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(signed, tmp_path / "forged")
    (folder / "budget.txt").write_text("better", encoding="utf-8")
    forge(folder)
    assert verify(folder).problems == (f"bad signature: {SIGNATURE_FILE} does not fit {SUMS_FILE}",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: record.update(ready=False), "says ready: false with 0 reasons"),
        (lambda record: record.update(allowed_failed=True), "says ready and allowed_failed"),
        (lambda record: record["results"][0].update(verdict="failed"), "results of record.json"),
        (lambda record: record["results"][0]["latency"]["stages"]["total"].update(p99=1), "results of record.json"),
        (lambda record: record.update(results=[]), "results of record.json"),
        (lambda record: record.update(notes=[]), "notes of record.json"),
        (lambda record: record.update(signer="0" * 64), "another signer|missing: SHA256SUMS.sig"),
        (lambda record: record["tree"]["cases"][0]["checks"].append("a.b"), "reasons of record.json"),
        (lambda record: record["policy"].update(sha256="0" * 64), "release.toml is not the one"),
        (lambda record: record.update(packed_at="2020-01-01T00:00:00+00:00"), "reasons of record.json"),
        (lambda record: record.update(packed_at="soon"), "soon"),
        (lambda record: record.update(ready="yes"), "is none of schema hil-release/1"),
    ],
)
def test_a_record_that_its_runs_do_not_bear_out_is_inconsistent(copy: Path, change: Any, words: str) -> None:
    forge(copy, change)
    problems = "\n".join(verify(copy).problems)
    assert any(word in problems for word in words.split("|")), problems


def test_a_failed_run_behind_a_ready_record_is_inconsistent(copy: Path) -> None:
    file = copy / "runs" / "native" / "run.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["cases"][0]["checks"][0].update(outcome="failed", findings_total=0)
    document["seal"] = seal(document)
    file.write_text(json.dumps(document), encoding="utf-8")
    forge(copy)
    assert any("reasons of record.json are not those that its runs give" in text for text in verify(copy).problems)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="\n\r\\"), min_size=1), st.binary(min_size=32, max_size=32)
    )
)
def test_sums_come_back_as_they_were_written(files: dict[str, bytes]) -> None:
    sums = {name: digest.hex() for name, digest in files.items()}
    assert parse_sums(sums_text(sums)) == sums


# ---- keys


def test_a_private_key_is_for_its_owner_only(tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["key.pem", "key.pub.pem"])
def test_a_key_is_never_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(UsageError, match="is there already"):
        make_key(tmp_path / "key.pem")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_key_that_others_may_read_is_refused(project: Project) -> None:
    make_key(project.folder / "key.pem")
    (project.folder / "key.pem").chmod(0o640)
    with pytest.raises(UsageError, match="others may read this private key\n  fix: chmod 600"):
        pack(project, "--key", project.folder / "key.pem")


@pytest.mark.parametrize("kind", ["public", "text", "missing"])
def test_what_is_no_private_key_is_refused(project: Project, kind: str) -> None:
    make_key(project.folder / "key.pem")
    (project.folder / "text.pem").write_text("hello", encoding="utf-8")
    names = {"public": "key.pub.pem", "text": "text.pem", "missing": "none.pem"}
    file = project.folder / names[kind]
    if file.exists():
        file.chmod(0o600)
    with pytest.raises(UsageError, match=r"\.pem: .*\n  fix: "):
        pack(project, "--key", file)


@pytest.mark.parametrize(
    "words",
    [
        ("release", "verify", "a", "b"),
        ("release", "verify", "a", "--out", "b"),
        ("release", "key", "a", "--note", "b"),
        ("release", "a"),
        ("release", "a", "--out", "b", "--public-key", "c"),
    ],
)
def test_misuse_of_the_command_is_told_with_the_right_one(project: Project, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"\n  fix: "):
        project.hil(*words)
