"""Knows the execution contract: bundle and model accepted, nothing broke, outputs are the oracle's and repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hil.board.fault import advice
from hil.case.types import Case, Limit
from hil.contract.blame import (
    Blame,
    blame,
    blocks,
    comparable,
    output_distance,
    outputs_beyond,
    ran,
    run_order,
)
from hil.contract.causes import guess, guesses
from hil.contract.causes.outputs import Outputs, other, output_name
from hil.contract.distance import Allowance, allowed, shown
from hil.contract.instruments.marks import NO_MEMORY, MemoryTest
from hil.contract.model_bytes import ModelRead, add_model_read
from hil.contract.operators import with_culprit
from hil.contract.ready import asked, refused, unlimited, unready
from hil.contract.state import state_cause
from hil.contract.tensors import of_each_output, output_views
from hil.contract.types import Check, CheckResult, Evidence, Section, VectorFault
from hil.contract.verdict import Sheet, add_differences, number, plural, vector_name
from hil.records import Can, Status
from hil.tensor import Elements, no_number, ranks, steps_between

# Bundle statuses (docs/bundle-format.md) that say how the interpreter fits into memory.
_ARENA_LIMIT, _MODEL_ARENA = 21, 34
_LARGER = "build the firmware with a larger HIL_ARENA_BYTES (docs/porting.md)"
_CANARY = {1: "below the arena", 2: "above the arena", 3: "below and above the arena"}
_LOST = (Status.FAULT, Status.RESET, Status.HANG)
_LOOKED_AT = 1 << 22  # elements of output that guesses at a cause look at, so that a large run needs little memory


@dataclass(frozen=True)
class InvokeRun:
    """Between two starts of the firmware: how often the model ran, and the numbers, from 1, of the runs that failed."""

    calls: int
    failed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Invokes(Section):
    """The model's runs in all of a session, warm-up, replays, later passes and probes included."""

    starts: tuple[InvokeRun, ...] = ()


def _always(_: Case) -> bool:
    return True


# ---- bundle, model, memory of the interpreter ------------------------------------------------------------------------


def _judge_bundle(evidence: Evidence) -> CheckResult:
    sheet = Sheet("execution.bundle", evidence)
    hello, case = evidence.hello, evidence.case
    if fault := _fault_of_start(evidence):
        sheet.add(
            "the firmware sets the model up and says hello",
            f"{fault.report.kind} in stage start; without a bundle it starts",
            stage="start",
            hint="it breaks on this model: execution.fault has the place, in the kernel of the operator",
        )
        return sheet.result()
    if hello.bundle_status != 0:
        from hil.bundle import describe  # only a refusal needs the table of reasons

        sheet.add(
            "bundle accepted (status 0)",
            f"refused (status {hello.bundle_status}, detail {hello.bundle_detail}): "
            f"{describe(hello.bundle_status, hello.bundle_detail, case)}",
            hint="nothing of this case ran; docs/bundle-format.md lists what each status means",
        )
        return sheet.result()
    if evidence.bundle_sha256 and hello.bundle_hash.lower() != evidence.bundle_sha256.lower():
        sheet.add(
            f"bundle SHA-256 {evidence.bundle_sha256}",
            hello.bundle_hash,
            hint="another bundle is on the board: provision it again and read it back",
        )
    if (hello.case, hello.case_version) != (case.name, case.version):
        sheet.add(
            f"case {case.name} version {case.version}",
            f"case {hello.case} version {hello.case_version}",
            hint="the bundle was built for another case or version: build it again",
        )
    add_differences(sheet, evidence, "execution")
    return sheet.result()


def _fault_of_start(evidence: Evidence) -> VectorFault | None:
    """The fault by which the firmware did not start with the bundle; it said hello without one then."""
    first = evidence.faults[0] if evidence.faults else None
    return first if first and first.report.stage == "start" and evidence.hello.bundle_status != 0 else None


def _judge_model(evidence: Evidence) -> CheckResult:
    sheet = Sheet("execution.model", evidence)
    observed = evidence.hello.model_hash.lower()
    reason = refused(evidence)
    if reason and not observed.strip("0"):
        return sheet.not_judged(reason)
    seen = add_model_read(sheet)
    untold = not observed.strip("0") and not evidence.hello.can & Can.BUNDLE
    if untold and not seen.source:
        return sheet.not_judged(
            "the firmware does not tell which model it runs", hint="give model_hash in describe (docs/agent.md)"
        )
    if not untold and observed != evidence.case.model.sha256.lower():
        sheet.add(
            f"model SHA-256 {evidence.case.model.sha256}",
            observed,
            hint="the board runs another model than the case judges: build the bundle again and provision it",
        )
    engine = evidence.section(MemoryTest).engine
    if not reason and engine is not None and engine.model_sha256 not in ("", evidence.case.model.sha256.lower()):
        sheet.add(
            f"model SHA-256 {evidence.case.model.sha256}, of the bytes that the engine runs",
            f"{engine.model_sha256} of the {number(engine.model_bytes)} bytes at {engine.model_address:#010x}",
            stage="invoke",
            hint="the engine was set up with other bytes than the bundle's, or something wrote over them",
        )
    return sheet.result(reason=_model_source(evidence, seen))


def _model_source(evidence: Evidence, seen: ModelRead) -> str:
    """What the verdict on the model rests on, where it is not what the engine was set up with."""
    if seen.source:
        return f"all {number(seen.read)} bytes read back from {seen.source}" if not seen.differ else ""
    if seen.failed:
        return f"the firmware's own word: {seen.failed}"
    blind = evidence.section(MemoryTest).blind == NO_MEMORY
    return f"the firmware's own word: {NO_MEMORY} to read the model from" if blind else ""


def _judge_operators(evidence: Evidence) -> CheckResult:
    sheet = Sheet("execution.operators", evidence)
    held = set(evidence.hello.operators)
    if not held and not evidence.hello.can & Can.BUNDLE:
        return sheet.not_judged(
            "the firmware does not tell its operators: its model is its own",
            hint="execution.output shows what it computes; give operators in describe, if it has a resolver",
        )
    model = evidence.case.model
    own = () if evidence.image.own_kernels else model.own_operators  # there may be a kernel of 2020 of that name
    # A hello has one code for all custom operators; a firmware that took the bundle has looked each of them up.
    looked_up = "CUSTOM" in held and bool(evidence.hello.can & Can.BUNDLE) and evidence.hello.bundle_status == 0
    held |= {name for name in model.operators if looked_up and name.startswith("CUSTOM:")}
    missing = [name for name in model.operators if name not in held or name in own]
    if missing:
        sheet.add(
            f"operators {', '.join(evidence.case.model.operators)}",
            f"the firmware lacks {', '.join(missing)}",
            stage="invoke",
            hint="add them to the firmware's resolver, or convert the model without them",
        )
    return sheet.result(numbers={"operators": len(evidence.case.model.operators), "missing": len(missing)})


def _judge_arena(evidence: Evidence) -> CheckResult:
    hello, limit = evidence.hello, evidence.case.arena_bytes
    given = hello.arena_bytes if limit is None else limit  # a case that does not say gets all that the firmware has
    sheet = Sheet("execution.arena", evidence, None if limit is None else Limit(maximum=limit, unit="bytes"))
    expected = f"the interpreter fits into {number(given)} bytes"
    if hello.bundle_status == _MODEL_ARENA:
        known = f"it needs {number(hello.bundle_detail)} bytes"
        needed = known if hello.bundle_detail else f"it does not fit into the firmware's {number(hello.arena_bytes)}"
        hint = "raise arena_bytes in [budget.memory]" if hello.bundle_detail else _LARGER
        sheet.add(expected, needed, hint=f"{hint}, or shrink the model's largest layer")
        return sheet.result(value=float(hello.bundle_detail) if hello.bundle_detail else None)
    if hello.bundle_status == _ARENA_LIMIT:
        sheet.add(
            expected,
            f"the firmware's static arena has only {number(hello.bundle_detail)} bytes",
            hint=f"lower arena_bytes in [budget.memory], or {_LARGER}"
            if limit is not None
            else "the arena that its ELF names is another one: see instruments.symbols",
        )
        return sheet.result()
    if reason := refused(evidence):
        return sheet.not_judged(reason)
    if hello.arena_used > given and not evidence.image.host:
        sheet.add(
            expected,
            f"the interpreter reports {number(hello.arena_used)} bytes used",
            hint="the firmware gave the interpreter more than the case allows: check how it passes arena_bytes on",
        )
    memory = evidence.section(MemoryTest)
    if memory.engine is not None and memory.engine.arena_bytes > memory.share:
        sheet.add(
            f"an arena of {number(memory.share)} bytes for the interpreter",
            f"it was given {number(memory.engine.arena_bytes)} bytes at {memory.engine.arena_address:#010x}",
            hint="the firmware gives the interpreter more than the case allows: check how it passes arena_bytes on",
        )
    if (reason := unlimited(evidence)) and not sheet.total:
        return sheet.not_judged(reason)
    if evidence.image.host and not sheet.total:
        sheet.limit = None
        return sheet.not_judged(
            f"pointers of {evidence.board} are wider, and its arena twice the budget: a target of the product tells"
        )
    return sheet.result(value=float(hello.arena_used))


# ---- what happened while it ran --------------------------------------------------------------------------------------


def _judge_canaries(evidence: Evidence) -> CheckResult:
    sheet = Sheet("execution.canaries", evidence)
    if not evidence.other_canaries and (reason := unready(evidence)):
        return sheet.not_judged(reason)
    order = run_order(evidence.case)
    damage = evidence.records.canaries[order]  # the firmware restores a canary after each record

    def describe(vector: int) -> None:
        sheet.add(
            "both canaries whole",
            f"overwritten {_canary_words(int(evidence.records.canaries[vector]))}",
            vector=evidence.case.vectors.name(vector),
            stage="invoke",
            hint="a kernel or a stage writes outside the arena: set a watchpoint there, or run this vector on `native`",
        )

    sheet.each(order[damage != 0], describe)
    if evidence.other_canaries:
        sheet.add(
            "both canaries whole",
            f"overwritten {_canary_words(evidence.other_canaries)} in a run outside the first pass: warm-up, replay, "
            "later pass or probe",
            hint="a kernel or a stage writes outside the arena: set a watchpoint there, or run the case on `native`",
        )
    return sheet.result(
        numbers={"vectors": int(ran(evidence.records).sum()), "vectors_with_damage": int((damage != 0).sum())}
    )


def _canary_words(damage: int) -> str:
    return _CANARY.get(damage, f"(bits {damage:#x})")


def _judge_fault(evidence: Evidence) -> CheckResult:
    sheet = Sheet("execution.fault", evidence)
    lost = np.flatnonzero(np.isin(evidence.records.status, _LOST))
    if not evidence.faults and not len(lost) and (reason := unready(evidence)):
        return sheet.not_judged(reason)
    for fault in evidence.faults:
        sheet.add(
            "no fault, reset or hang",
            f"{Status(fault.status).name.lower()}: {fault.report.kind} in stage {fault.report.stage}\n"
            f"{fault.report.text}",
            vector=vector_name(evidence, fault.vector),
            stage="fault",
            hint=_START_HINT if fault is _fault_of_start(evidence) else _fault_hint(fault),
        )
    told = {fault.vector for fault in evidence.faults}
    for vector in (int(row) for row in lost if int(row) not in told):
        sheet.add(
            "no fault, reset or hang",
            f"{Status(int(evidence.records.status[vector])).name.lower()}, without a post-mortem",
            vector=vector_name(evidence, vector),
            stage="fault",
            hint="replay this vector alone with a debugger attached",
        )
    return sheet.result(numbers={"vectors_that_ran": int(ran(evidence.records).sum())})


def _fault_hint(fault: VectorFault) -> str:
    own = "" if fault.vector >= 0 else f"{_OWN_HINT}; "
    return own + advice(fault.report.kind, fault.report.registers)


_START_HINT = "it broke while it set the model up, before any window: read the operator's kernel at that place"
_OWN_HINT = "it broke on a window or scores that the harness made itself, or outside of any request"


def _judge_complete(evidence: Evidence) -> CheckResult:
    sheet = Sheet("execution.complete", evidence)
    if reason := refused(evidence):
        return sheet.not_judged(reason)
    status = evidence.records.status
    name = evidence.case.vectors.name
    calls = failing_calls(evidence)

    def describe(vector: int) -> None:
        code = Status(int(status[vector]))
        invoke = code is Status.INVOKE_FAILED
        sheet.add(
            "status done or rejected",
            f"status {code.name.lower().replace('_', ' ')}{f'; {calls}' if invoke and calls else ''}",
            vector=name(vector),
            stage=_STATUS_STAGE[code],
            hint=_INVOKE_HINT if invoke else "the stage itself returned an error: read the firmware's log",
        )

    broken = np.flatnonzero(np.isin(status, list(_STATUS_STAGE)))
    sheet.each(broken, describe)
    if calls and not (status == Status.INVOKE_FAILED).any():
        sheet.add(
            "no run of the model fails",
            f"{calls}, in a run outside the first pass: replay, later pass or probe",
            stage="invoke",
            hint=_INVOKE_HINT,
        )
    for view in output_views(evidence):
        _add_no_numbers(sheet, view)
    lost = np.flatnonzero(np.isin(status, _LOST))
    if len(lost):
        sheet.add(
            "a record for every vector",
            f"{plural(len(lost), 'vector')} ended in a fault, reset or hang",
            vector=name(int(lost[0])),
            stage="fault",
            hint="see execution.fault",
        )
    skipped = np.flatnonzero(status == Status.NOT_RUN)
    if len(skipped) or not len(status):
        first = f", the first is {name(int(skipped[0]))}" if len(skipped) else ""
        sheet.add(
            "a record for every vector",
            f"{len(skipped):,} of {plural(len(status), 'vector')} did not run{first}",
            hint="see execution.fault" if len(lost) or evidence.faults else "the run was cut short: run the case again",
        )
    return sheet.result(numbers={"vectors": len(status), "vectors_with_record": int(ran(evidence.records).sum())})


def _add_no_numbers(sheet: Sheet, view: Evidence) -> None:
    """Findings about the one output that `view` holds."""
    decided = view.case.model.output.name == sheet.evidence.case.model.output.name
    of = "" if view is sheet.evidence else f"output {view.case.model.output.name!r}: "

    def describe(vector: int) -> None:
        place = int(no_number(view.records.output[vector]).argmax())
        also = comparable(view)[vector] and no_number(view.references.output[vector]).any()
        sheet.add(
            f"{of}an output of numbers",
            f"NaN at {output_name(view.case.decide.labels, place)}{_UNDECIDED if decided else ''}",
            vector=view.case.vectors.name(vector),
            stage="invoke",
            hint=_NAN_OF_THE_MODEL if also else "the oracle gives numbers here: see execution.output",
        )

    sheet.each(_no_numbers(view), describe)


def _no_numbers(evidence: Evidence) -> NDArray[np.intp]:
    """Vectors whose output holds what is no number."""
    output, done = evidence.records.output, evidence.records.status == Status.DONE
    return np.flatnonzero(done & no_number(output).any(axis=1))


_UNDECIDED = ": nothing can be decided on that"
_NAN_OF_THE_MODEL = (
    "the oracle gives NaN too, so it is the model: look for a division, a logarithm or a root that this window reaches"
)
_STATUS_STAGE = {Status.PREPARE_FAILED: "prepare", Status.INVOKE_FAILED: "invoke", Status.NO_BUNDLE: ""}
_INVOKE_HINT = (
    "the interpreter or a kernel returned an error: read the firmware's log; when it comes at a certain call, look for "
    "what is used up or counted there"
)


def failing_calls(evidence: Evidence) -> str:
    """From which of the model's runs on it fails, or which of them do; "" when none does or the session kept no count.

    Of several starts of the firmware the first that shows it.
    """
    start = next((start for start in evidence.section(Invokes).starts if start.failed), None)
    if start is None:
        return ""
    failed, first = start.failed, start.failed[0]
    of = f"of {start.calls:,} calls since the firmware started"
    if failed == tuple(range(first, start.calls + 1)) and first > 1 and len(failed) > 1:
        return f"invoke fails from call {first:,} on ({len(failed):,} {of})"
    if len(failed) == start.calls:
        return f"invoke fails on every call ({start.calls:,} since the firmware started)"
    steps = set(np.diff(failed, prepend=0).tolist())
    if len(steps) == 1 and len(failed) > 1:
        return f"invoke fails on every {_ordinal(first)} call ({len(failed):,} {of})"
    shown = ", ".join(f"{number:,}" for number in failed[:_SHOWN_CALLS])
    return f"invoke fails on {len(failed):,} {of}: {shown}{', ...' if len(failed) > _SHOWN_CALLS else ''}"


_SHOWN_CALLS = 5


def _ordinal(count: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th") if count % 100 not in (11, 12, 13) else "th"
    return f"{count:,}{ending}"


# ---- outputs ---------------------------------------------------------------------------------------------------------


def _judge_output(evidence: Evidence) -> CheckResult:
    found = blame(evidence)
    hint = _output_hints(evidence, found)
    return _judge_against("execution.output", evidence, found, evidence.references.output, hint)


def _output_hints(evidence: Evidence, found: Blame) -> Callable[[int], str]:
    """What all vectors that are off have in common, or else what one looks like by itself; and how many there are."""
    order, allowance = run_order(evidence.case), allowed(evidence.case)
    distance, beyond = output_distance(evidence), outputs_beyond(evidence, allowance)
    vectors = order[(comparable(evidence) & ~found.before_invoke)[order]]
    off = vectors[beyond[vectors]]
    if not len(off):
        return lambda _: ""
    looked_at = vectors[: max(1, _LOOKED_AT // evidence.references.output.shape[1])]
    place = {int(vector): row for row, vector in enumerate(looked_at)}
    rows = np.flatnonzero(beyond[looked_at])
    farthest = f"{int(distance[off].max()):,} {allowance.element.step}"
    spread = f"{len(off):,} of {plural(len(vectors), 'vector')} off, by at most {farthest}"
    if cause := state_cause(evidence, off, vectors[~beyond[vectors]]):
        return lambda _: f"{cause} ({spread})"
    if not len(rows):
        return lambda _: with_culprit(f"other arithmetic in a kernel ({spread})", evidence)
    run = Outputs(
        wanted=ranks(evidence.references.output[looked_at]),
        observed=ranks(evidence.records.output[looked_at]),
        rows=rows,
        prepared=_as_scores(evidence, looked_at),
        element=allowance.element,
        zero_point=evidence.case.model.output.quantisation.zero_point,
        labels=evidence.case.decide.labels,
        operators=evidence.case.model.operators,
        vector=lambda row: evidence.case.vectors.name(int(looked_at[row])),
    )
    table = guesses(allowance.element)
    common = guess(table, run)

    def hint(vector: int) -> str:
        alone = replace(run, rows=np.array([place[vector]])) if vector in place else run
        return with_culprit(f"{common or guess((*table, other), alone)} ({spread})", evidence)

    return hint


OUTSIDE_IS_OFF = (
    "the oracle agrees with the device: the runtime that made expected_output is the one that differs, when model and "
    "input are the same. LiteRT's optimised kernels (XNNPACK) do, by up to 111 LSB (tensorflow/tensorflow#99072, "
    "tensorflow/tflite-micro#3130): make the outputs with the tflite-micro wheel, as docs/golden-updates.md shows"
)


def _as_scores(evidence: Evidence, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """The prepared tensors as ranks, where the output is of their type: a model that does not run leaves them there."""
    prepared = evidence.references.prepared[rows]
    same = prepared.dtype == evidence.references.output.dtype
    return ranks(prepared) if same else np.zeros((len(rows), 0), np.int64)


def _judge_golden(evidence: Evidence) -> CheckResult:
    golden = evidence.case.vectors.expected_output
    if golden is None:  # of one of several outputs: applies() asks for any
        return Sheet("execution.golden", evidence).result(reason="the case expects nothing of it")
    off_oracle = outputs_beyond(evidence, allowed(evidence.case))

    def hint(vector: int) -> str:
        if off_oracle[vector]:
            return "the oracle does not give the device's output either: see execution.output"
        return OUTSIDE_IS_OFF

    return _judge_against("execution.golden", evidence, blame(evidence), golden.reshape(len(golden), -1), hint)


def _judge_against(
    check: str, evidence: Evidence, found: Blame, wanted: Elements, hint: Callable[[int], str]
) -> CheckResult:
    """Hold the device's raw outputs to `wanted` within the budget of the case, on vectors whose input did not break
    first.
    """
    allowance = allowed(evidence.case)
    element = allowance.element
    sheet = Sheet(check, evidence, allowance.limit)
    population = comparable(evidence)
    if reason := unready(evidence) or asked(population, evidence):
        return sheet.not_judged(reason)
    distance = output_distance(evidence, wanted)
    offending = outputs_beyond(evidence, allowance, wanted)
    clean = population & ~found.before_invoke

    def describe(vector: int) -> None:
        row, output = wanted[vector], evidence.records.output[vector]
        beyond = allowance.beyond(row, output)
        steps = steps_between(row, output)
        place = int(np.where(beyond, steps, -1).argmax())
        sheet.add(
            f"{shown(element, row[place])} at {output_name(evidence.case.decide.labels, place)}",
            f"{shown(element, output[place])} ({allowance.off_by(row, output, place)}; "
            f"{int((steps > 0).sum())} of {len(row)} elements differ)",
            vector=evidence.case.vectors.name(vector),
            stage=found.text(vector),
            hint=hint(vector),
        )

    sheet.each(np.flatnonzero(offending & clean), describe)
    sheet.blame_earlier(np.flatnonzero(offending & ~clean), found, allowance.words)
    numbers = {"vectors_compared": int(clean.sum()), "vectors_that_differ": int((distance[clean] > 0).sum())}
    if not sheet.total and not clean.any():
        return sheet.not_judged("input broke first on every vector: see input.prepared", numbers)
    if element.real:
        numbers |= {"allowed_ulp": allowance.steps, "largest_ulp": int(distance[clean].max(initial=0))}
    worst = max((_worst(evidence, allowance, wanted, rows) for rows in _blocks(clean, wanted)), default=0.0)
    reason = f"float32 outputs, {allowance.words}" if element.real else ""
    return sheet.result(value=worst, reason=reason, numbers=numbers)


def _blocks(mask: NDArray[np.bool_], wanted: Elements) -> Iterator[NDArray[np.intp]]:
    return blocks(np.flatnonzero(mask), wanted.shape[1])


def _worst(evidence: Evidence, allowance: Allowance, wanted: Elements, rows: NDArray[np.intp]) -> float:
    return allowance.worst(wanted[rows], evidence.records.output[rows])


def _has_golden(case: Case) -> bool:
    return any(each is not None for each in (case.vectors.expected_output, *case.vectors.further_expected))


CHECKS = (
    Check(
        "execution.bundle",
        "the device accepts the bundle, and it is the one that was built for this case",
        "bundle status = 0 and bundle SHA-256, case name and version as provisioned",
        _always,
        _judge_bundle,
    ),
    Check(
        "execution.model",
        "the model on the device is the case's",
        "hello.model_hash = SHA-256(bytes that the engine runs) = SHA-256(model.int8)",
        _always,
        _judge_model,
    ),
    Check(
        "execution.operators",
        "the firmware holds every operator of the model",
        "operators(model) is a subset of hello.operators",
        _always,
        _judge_operators,
    ),
    Check(
        "execution.arena",
        "the interpreter fits into what the case gives it",
        "bundle status is not 34 or 21; hello.arena_used and the arena that the engine was given <= arena_bytes",
        _always,
        _judge_arena,
    ),
    Check(
        "execution.canaries",
        "guard words around the arena",
        "record.canaries = 0 on every vector, and in every other run",
        _always,
        _judge_canaries,
    ),
    Check("execution.fault", "no fault, reset or hang", "faults + resets + hangs = 0", _always, _judge_fault),
    Check(
        "execution.complete",
        "every vector came to an end",
        "status in {done, rejected} for every vector, and no run of the model failed in any other run",
        _always,
        _judge_complete,
    ),
    Check(
        "execution.output",
        "raw output of the device against the int8 oracle",
        "max |device - oracle| <= lsb (float32: ulp, or tolerance) over all vectors and elements",
        _always,
        of_each_output(_judge_output),
    ),
    Check(
        "execution.golden",
        "raw output of the device against outputs from elsewhere",
        "max |device - expected_output| <= lsb (float32: ulp, or tolerance) over all vectors and elements",
        _has_golden,
        of_each_output(_judge_golden),
    ),
)
