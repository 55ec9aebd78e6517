"""`hil case new`: writes a case for a model.

`hil case regen`: shows what a case would expect now, and writes it when it is accepted with a reason.
"""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import Any

from hil.environment import environment_name
from hil.errors import UsageError

EXIT_CHANGED = 1


def add_new_command(actions: Any) -> None:
    """Add `new` to the subparsers of `hil case`."""
    parser = actions.add_parser("new", help="write a case for a model; what cannot be known is guessed, and said so")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder to make")
    parser.add_argument("--model", type=Path, metavar="FILE", required=True, help="the .tflite that ships")
    parser.add_argument("--float", type=Path, metavar="FILE", help="the float .tflite that it must agree with")
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="windows or a recording: .npz, .csv or .wav")
    parser.add_argument(
        "--state",
        action="append",
        default=[],
        metavar="OUTPUT=INPUT",
        help="an output that the product carries to this input for the next window; one for each pair (docs/models.md)",
    )
    parser.set_defaults(run=_new)


def _new(options: argparse.Namespace) -> int:
    from hil.case.start.new import new_case
    from hil.model.check import kernels_of

    kernels = kernels_of(os.environ.get(environment_name("hil-tflm"), ""))
    made = new_case(options.folder, options.model, options.float, options.vectors, kernels, options.state)
    print(f"wrote {options.folder}: case {made.case.name}, which passes hil case check")
    for note in made.notes:
        print(f"  {note}")
    print(f"next: pytest --board=qemu {shlex.quote(str(options.folder))}")
    return 0


def add_regen_command(actions: Any) -> None:
    """Add `regen` to the subparsers of `hil case`."""
    parser = actions.add_parser("regen", help="rebuild what a case expects, show what changed, write it when accepted")
    parser.add_argument("path", type=Path, metavar="CASE", help="the case's folder, or its case.toml")
    parser.add_argument("--accept", action="store_true", help="write the expectations and raise the version")
    parser.add_argument("--reason", help="why the change is right; goes into the case's CHANGES.md")
    parser.add_argument("--all", action="store_true", help="list every change")
    parser.set_defaults(run=_regen)


def _regen(options: argparse.Namespace) -> int:
    from hil.case.regen import accept, lines, propose

    if options.accept != (options.reason is not None):
        missing = '--reason "..."' if options.accept else "--accept"
        raise UsageError(f"--accept and --reason belong together\n  fix: add {missing}")
    proposal = propose(options.path)
    print("\n".join(lines(proposal, options.all)))
    if not proposal.changed:
        return 0
    if not options.accept:
        print(f'nothing is written; accept it with: hil case regen {options.path} --accept --reason "..."')
        return EXIT_CHANGED
    version = accept(proposal, options.reason)
    print(
        f"accepted as version {version}: wrote expected.npz, case.toml, case.lock and CHANGES.md in {proposal.folder}"
    )
    return 0
