"""Whether the runs fit together and to the tree: one firmware a target, one bundle a case, the files as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hil.gate.demands import Demand, Tree
from hil.gate.policy import Policy
from hil.gate.reasons import Kind, Reason
from hil.gate.results import Result

ORACLES = ("tflite-micro", "ai-edge-litert")  # what the references compute with
_ONE = "run all cases on all boards from one checkout, with nothing changed between the runs"
Fact = Callable[[Result], str | None]


def manifest_reasons(results: Sequence[Result]) -> Iterator[Reason]:
    """Where the manifests of two runs do not agree."""
    yield from _unequal(results, "firmware image of target", _target, lambda result: _sha(result.case.image))
    yield from _unequal(results, "bundle of case", _name, _bundle)
    yield from _unequal(results, "model of case", _name, lambda result: result.case.manifest.model_sha256)
    yield from _unequal(results, "version of case", _name, lambda result: str(result.case.version))
    yield from _unequal(results, "source version of the firmware", lambda _: "", _firmware)
    yield from _unequal(results, "version of hil", lambda _: "", lambda result: result.run.document.manifest.hil)
    for package in ORACLES:
        yield from _unequal(results, f"version of {package}", lambda _: "", _package(package))


def _target(result: Result) -> str:
    return result.run.document.board.target


def _name(result: Result) -> str:
    return result.name


def _sha(part: object) -> str | None:
    sha256 = getattr(part, "sha256", None)
    return str(sha256) if sha256 else None


def _bundle(result: Result) -> str | None:
    """None of a case without `arena_bytes`: its bundle carries the arena of the target."""
    memory = result.case.memory
    return None if memory is not None and memory.arena_bytes is None else _sha(result.case.bundle)


def _firmware(result: Result) -> str | None:
    return result.case.device.firmware if result.case.device else None


def _package(name: str) -> Fact:
    return lambda result: result.run.document.manifest.packages.get(name)


def _unequal(results: Sequence[Result], what: str, of: Callable[[Result], str], fact: Fact) -> Iterator[Reason]:
    """A reason for each key with more than one value, with the first result that has each of them."""
    groups: dict[str, dict[str, Result]] = {}
    for result in results:
        if value := fact(result):
            groups.setdefault(of(result), {}).setdefault(value, result)
    for key, values in groups.items():
        if len(values) > 1:
            told = "; ".join(f"{_short(value)} ({result}, {result.run.file})" for value, result in values.items())
            yield Reason(Kind.MANIFEST, f"more than one {what} {key}".rstrip() + f": {told}", _ONE)


def _short(value: str) -> str:
    return value[:12] if len(value) == 64 else value


def tree_reasons(tree: Tree, policy: Policy) -> Iterator[Reason]:
    """What is wrong with the cases as they stand on disk."""
    if not tree.cases and not tree.unreadable:
        yield Reason(
            Kind.NOT_RUN, f"there is no case below {tree.root}: a release in which nothing ran is none", "add a case"
        )
    for broken in tree.unreadable:
        yield Reason(Kind.CASE, broken.problem.split("\n  fix: ")[0], _fix(broken.problem), case=broken.path)
    for demand in tree.cases:
        if policy.locked and not demand.locked:
            folder = f"{tree.root}/{demand.path}".removesuffix("/case.toml")
            yield Reason(
                Kind.CASE,
                f"case {demand.name} version {demand.version} is not locked: its files can change unnoticed",
                f"hil case lock {folder}, then run it again",
                case=demand.name,
            )


def _fix(problem: str) -> str:
    return problem.split("\n  fix: ")[1] if "\n  fix: " in problem else "mend the case"


def edited_reasons(result: Result, demand: Demand) -> Iterator[Reason]:
    """Where the case that ran is not the one that lies in the tree now."""
    case = result.case
    if case.version != demand.version:
        what = f"version {case.version} ran, the tree has version {demand.version}"
        yield _edited(result, what)
    before, now = case.manifest.files, demand.files
    if other := sorted(name for name in {*before, *now} if before.get(name) != now.get(name)):
        yield _edited(result, f"changed since the run: {', '.join(other)}")


def _edited(result: Result, what: str) -> Reason:
    fix = "run the case again as it is now, or restore the files that ran"
    return Reason(Kind.MANIFEST, f"{result}: {what}", fix, case=result.name, board=result.board)
