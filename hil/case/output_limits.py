"""What each output of a model is held to, from [contract.execution], [contract.agreement] and [contract.baseline]: the
values of these tables, and for one of several outputs those of its own table `outputs."NAME"` in their place. What is
expected of a tensor in [contract.sanity] stands there by name too, of inputs and of outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hil.case.schema import (
    BaselineContract,
    Bounds,
    CaseFile,
    ExecutionContract,
    OutputBudget,
    OutputChange,
    OwnOutputChange,
)
from hil.case.types import Limit, ModelFile, OutputLimits, Tolerance
from hil.model.kernels.library import KernelLibrary
from hil.model.kernels.upstream import UPSTREAM
from hil.problems import KeyPath, Say
from hil.tensor import TensorContract

EXECUTION, AGREEMENT, BASELINE, SANITY = (
    ("contract", name) for name in ("execution", "agreement", "baseline", "sanity")
)
UNITS = {"sqnr_db": "dB", "flips": "vectors"}
_OF_INTEGERS = "write lsb (outputs_lsb), steps of its scale, or leave it out"
_OF_FLOAT = "write ulp (outputs_ulp), steps from one float32 to the next, or tolerance, or leave it out"


def limits_of(table: CaseFile, output: TensorContract, kernels: KernelLibrary | None) -> OutputLimits:
    """What this output is held to. kernels: those that will run the model, as far as that is known."""
    parts, name = table.contract, output.name
    own = parts.execution.outputs.get(name, OutputBudget())
    return OutputLimits(
        lsb=_first(_lsb(own, kernels), _lsb(parts.execution, kernels)),
        ulp=_first(own.ulp, parts.execution.ulp),
        tolerance=_first(own.tolerance, parts.execution.tolerance) or 0.0,
        agreement={key: limit for key, bounds in agreement_of(table, name) if (limit := limit_of(key, bounds))},
        baseline=_tolerance(parts.baseline, parts.baseline.outputs.get(name, OwnOutputChange())),
    )


def _tolerance(part: BaselineContract, own: OwnOutputChange) -> Tolerance:
    plain = {name: value for name, value in part if name != "outputs"}
    steps = {name: _first(getattr(own, name), plain[name]) for name in OutputChange.model_fields}
    losses = {name: loss for name, loss in own.agreement if loss is not None}
    return Tolerance(**{**plain, **steps, "agreement": {**dict(part.agreement), **losses}})


def expected_of(table: CaseFile) -> dict[tuple[str, str], tuple[str, ...]]:
    """What is odd about single tensors and meant so, by "input" or "output" and the tensor's name."""
    part = table.contract.sanity
    inputs = {("input", name): own.expect for name, own in part.inputs.items()}
    return {**inputs, **{("output", name): own.expect for name, own in part.outputs.items()}}


def limit_of(name: str, bounds: Bounds | None) -> Limit | None:
    """The limit of a figure of this name."""
    return Limit(bounds.min, bounds.max, UNITS.get(name, "")) if bounds else None


def agreement_of(table: CaseFile, output: str = "") -> Iterator[tuple[str, Bounds]]:
    """Figures of agreement that the case limits for this output, its own in place of the common; "": the common."""
    part = table.contract.agreement
    own = part.outputs.get(output)
    for name in type(part).model_fields:
        bounds = getattr(own, name, None) or getattr(part, name)
        if name != "outputs" and bounds is not None:
            yield name, bounds


def agreement_tables(table: CaseFile) -> Iterator[tuple[KeyPath, Bounds]]:
    """Every figure of agreement that the case limits, with its place in the file."""
    for name, bounds in agreement_of(table):
        yield (*AGREEMENT, name), bounds
    for output, own in table.contract.agreement.outputs.items():
        for name, bounds in own:
            if bounds is not None:
                yield (*AGREEMENT, "outputs", output, name), bounds


def check_outputs(table: CaseFile, model: ModelFile, say: Say) -> None:
    """Reports what is said of tensors that the model does not have, what an output may be off by in steps that its
    type does not have, and what is missing where it must be said.
    """
    execution, baseline, sanity = table.contract.execution, table.contract.baseline, table.contract.sanity
    named = {each.name: each for each in model.outputs}
    for path, tables in (
        (EXECUTION, execution.outputs),
        (AGREEMENT, table.contract.agreement.outputs),
        (BASELINE, baseline.outputs),
        (SANITY, sanity.outputs),
    ):
        _check_names("output", path, tables, named, say)
    _check_names("input", SANITY, sanity.inputs, {each.name: each for each in model.inputs}, say)
    _check_kinds(execution, baseline, model.outputs, (), say)
    common = [each for each in model.outputs if execution.outputs.get(each.name, OutputBudget()).lsb is None]
    _check_reach(execution.lsb, common, (*EXECUTION, "lsb"), say)
    for name, output in named.items():
        own, change = execution.outputs.get(name, OutputBudget()), baseline.outputs.get(name, OwnOutputChange())
        _check_kinds(own, change, (output,), ("outputs", name), say)
        _check_reach(own.lsb, (output,), (*EXECUTION, "outputs", name, "lsb"), say)
    if model.all_float and any(
        each.element.real and _own_tolerance(execution, each.name) is None for each in model.outputs
    ):
        problem = "it is missing: float32 kernels of two builds need not round alike"
        say((*EXECUTION, "tolerance"), problem, "add tolerance = 1e-5, what an output may be off by in its own unit")


def _check_names(
    noun: str, path: KeyPath, tables: Mapping[str, Any], named: Mapping[str, TensorContract], say: Say
) -> None:
    for name in tables:
        if name not in named:
            fix = f"write one of {', '.join(map(repr, named))}, or leave the table out"
            say((*path, f"{noun}s", name), f"the model has no {noun} {name!r}", fix)


def _check_kinds(
    budget: OutputBudget, change: OutputChange, outputs: Sequence[TensorContract], inner: KeyPath, say: Say
) -> None:
    """Of values that hold for these outputs. inner: of the table that they stand in, behind that of their contract."""
    integers = [each for each in outputs if not each.element.real]
    budgets, changes = (*EXECUTION, *inner), (*BASELINE, *inner)
    of_integers = {
        (*budgets, "lsb"): budget.lsb,
        (*budgets, "lsb_of", "2020"): budget.lsb_of.of_2020,
        (*budgets, "lsb_of", "upstream"): budget.lsb_of.upstream,
        (*changes, "outputs_lsb"): change.outputs_lsb,
    }
    of_float: dict[KeyPath, float | None] = {
        (*budgets, "ulp"): budget.ulp,
        (*budgets, "tolerance"): budget.tolerance,
        (*changes, "outputs_ulp"): change.outputs_ulp,
    }
    wrong: list[tuple[Mapping[KeyPath, float | None], str]] = []
    if not integers:
        wrong.append((of_integers, _OF_FLOAT))
    if len(integers) == len(outputs):
        wrong.append((of_float, _OF_INTEGERS))
    for values, use in wrong:
        for path, value in values.items():
            if value is not None:
                steps = "lsb" if "lsb_of" in path else path[-1]
                say(path, f"the output is {outputs[0].element.name}, which has no {steps}", use)


def _check_reach(lsb: int | None, outputs: Sequence[TensorContract], path: KeyPath, say: Say) -> None:
    """Reports steps that these outputs cannot be off by."""
    for element in (each.element for each in outputs):
        if lsb is not None and not element.real and lsb >= element.high - element.low:
            problem = f"{lsb} can never be exceeded: {element.name} has {element.high - element.low} steps"
            say(path, problem, "lower it: 0 is what a bit-exact kernel keeps")
            return


def _own_tolerance(part: ExecutionContract, name: str) -> float | None:
    own = part.outputs.get(name)
    return part.tolerance if own is None or own.tolerance is None else own.tolerance


def _lsb(part: OutputBudget, kernels: KernelLibrary | None) -> int | None:
    own = None
    if kernels is not None:
        own = part.lsb_of.upstream if kernels is UPSTREAM else part.lsb_of.of_2020
    return part.lsb if own is None else own


def _first(*values: Any) -> Any:
    """The first that is given, 0 without one."""
    return next((value for value in values if value is not None), 0)
