"""`hil release`: translates arguments into calls, and answers into text and exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hil.errors import UsageError
from hil.gate.commands import EXIT_NO, read_question
from hil.gate.policy import POLICY_FILE

_USAGE = """hil release RUN... --out FOLDER [--key KEY.pem] [--note TEXT] [--policy FILE] [--allow-failed]
       hil release verify FOLDER [--public-key KEY.pub.pem]
       hil release key NEW.pem"""


def add_release_command(commands: Any, board_folders: Callable[[], list[Path]]) -> None:
    """Add `release` to the subparsers of `hil`; board_folders: where board files are looked for."""
    release = commands.add_parser("release", help="pack a release record, verify one, make a key", usage=_USAGE)
    release.add_argument("words", nargs="+", metavar="RUN", help="runs to pack; or verify FOLDER; or key NEW.pem")
    release.add_argument("--out", type=Path, help="the folder to write; it must not exist")
    release.add_argument("--policy", type=Path, help="the release policy (default: release.toml)")
    release.add_argument("--key", type=Path, help="sign with this private key")
    release.add_argument("--note", help="a line for the record")
    release.add_argument("--allow-failed", action="store_true", help="pack though the gate says no; the record says so")
    release.add_argument("--public-key", type=Path, help="verify: the key that must have signed the record")
    release.set_defaults(run=lambda options: _release(options, board_folders()))


def _release(options: argparse.Namespace, board_folders: list[Path]) -> int:
    action, *rest = options.words
    if action == "verify":
        _refuse(options, "verify", ("out", "policy", "key", "note", "allow_failed"))
        return _verify(_only(rest, "hil release verify FOLDER"), options.public_key)
    if action == "key":
        _refuse(options, "key", ("out", "policy", "key", "note", "allow_failed", "public_key"))
        return _key(_only(rest, "hil release key NEW.pem"))
    _refuse(options, "packing", ("public_key",))
    return _pack(options, board_folders)


def _refuse(options: argparse.Namespace, action: str, names: Sequence[str]) -> None:
    for name in names:
        if getattr(options, name):
            raise UsageError(
                f"--{name.replace('_', '-')} has no meaning for {action}\n  fix: leave it out; see {_HELP}"
            )


_HELP = "hil release --help"


def _only(words: Sequence[str], usage: str) -> Path:
    if len(words) != 1:
        raise UsageError(f"one path is wanted, not {len(words)}\n  fix: {usage}")
    return Path(words[0])


def _pack(options: argparse.Namespace, board_folders: list[Path]) -> int:
    from hil.gate.gate import decide
    from hil.gate.text import lines
    from hil.release.keys import read_private_key
    from hil.release.pack import Request, pack, refuse_existing

    if options.out is None:
        raise UsageError("--out is missing\n  fix: name a new folder for the record: --out releases/1.0.0")
    refuse_existing(options.out)
    key = read_private_key(options.key) if options.key is not None else None
    paths = [Path(word) for word in options.words]
    runs, policy, question = read_question(paths, options.policy or Path(POLICY_FILE), board_folders)
    decision = decide(runs, question)
    print("\n".join(lines(decision, question)))
    if not decision.ready and not options.allow_failed:
        print("no record was written: mend the reasons, or pack all the same with --allow-failed", file=sys.stderr)
        return EXIT_NO
    pack(Request(runs, policy, question, options.out, key, options.note or "", options.allow_failed, board_folders))
    signed = "signed" if key is not None else "not signed"
    print(f"wrote {options.out} ({signed}); check it with: hil release verify {options.out}")
    return 0


def _verify(folder: Path, public_key: Path | None) -> int:
    from hil.contract.verdict import plural
    from hil.release.keys import read_public_key
    from hil.release.verify import verify

    public = read_public_key(public_key) if public_key is not None else None
    verified = verify(folder, public)
    for line in (*verified.problems, *(f"note: {note}" for note in verified.notes)):
        print(line)
    if not verified.whole:
        print(f"{folder}: NOT as it was packed: {plural(len(verified.problems), 'problem')}")
        return EXIT_NO
    assert verified.record is not None  # one that cannot be read is a problem
    print(f"{folder}: as it was packed on {verified.record.packed_at}: {len(verified.record.files) + 1} files")
    return 0


def _key(private: Path) -> int:
    from hil.release.keys import make_key

    public, name = make_key(private)
    print(f"wrote {private}: keep it secret; it signs releases")
    print(f"wrote {public}: give it to who verifies; its fingerprint is {name}")
    return 0
