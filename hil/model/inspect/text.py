"""Lays the facts of a model out for a terminal of 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from hil.model.graph import TYPE_BYTES
from hil.model.inspect.facts import Engine, ModelFacts, OperatorFacts, Refusal, TensorFacts
from hil.model.inspect.settings import Setting

WIDTH = 100
_NAME = 24  # of an operator
_SHOWN_PLACES = 4


def lines(facts: ModelFacts) -> Iterator[str]:
    """The whole answer, without line ends."""
    yield from _wrapped(
        f"{facts.file}: {facts.bytes:,} bytes, {len(facts.operators)} operators, {len(facts.tensors)} tensors, "
        f"{facts.macs:,} MACs, {facts.parameters:,} parameters",
        "  ",
    )
    yield f"  SHA-256 {facts.sha256}"
    if facts.subgraphs > 1:
        yield f"  {facts.subgraphs} subgraphs; what follows is the first one"
    if facts.metadata:
        yield from _wrapped(f"  metadata {', '.join(facts.metadata)}", "    ")
    yield from _arena(facts)
    yield ""
    for side, indices in (("input", facts.inputs), ("output", facts.outputs)):
        for number, index in enumerate(indices):
            yield from _contract(f"{side} {number}", facts.tensors[index])
    for kept in facts.state:
        yield from _wrapped(f"state     kept by {kept}", " " * 12)
    for output, input in facts.pairs:
        given, taken = facts.tensors[output].name, facts.tensors[input].name
        text = f"output {given!r} fits input {taken!r} alone: is it that at the next window?"
        yield from _wrapped(f"state     {text} Then [model] state wires it", " " * 12)
    yield ""
    yield from _by_kind(facts.operators)
    yield ""
    yield f"{'operator':<{_NAME + 5}}{'MACs':>14}{'parameters':>14}"
    for operator in facts.operators:
        yield from _operator(operator, facts.tensors)
    yield ""
    for engine in facts.engines:
        yield from _engine(engine)
    yield from _settings(facts.settings)


def _arena(facts: ModelFacts) -> Iterator[str]:
    arena = facts.arena
    yield f"  arena: tensors alive at one time hold {arena.live:,} bytes at most, on any target"
    if arena.wheel is None:
        yield from _wrapped(f"  arena: the tflite-micro wheel does not take the model: {arena.refusal}", "    ")
    else:
        yield from _wrapped(f"  arena: {arena.wheel:,} bytes, {arena.what}", "    ")


def _contract(what: str, tensor: TensorFacts) -> Iterator[str]:
    """A line of an end of the model: what the device is given, or gives."""
    open_batch = f" (signature {list(tensor.signature)})" if -1 in tensor.signature else ""
    yield _cut(f"{what:<9} tensor {tensor.index} {tensor.name!r}")
    yield from _wrapped(f"{'':<9} {_type(tensor)}{open_batch}, {tensor.bytes:,} bytes{_range(tensor)}", " " * 12)


def _range(tensor: TensorFacts) -> str:
    """The real values that it can hold."""
    bits = TYPE_BYTES.get(tensor.type, 0) * 8
    if len(tensor.scales) != 1 or bits not in (8, 16):
        return ""
    low, high = (0, 2**bits - 1) if tensor.type.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    zero = (*tensor.zero_points, 0)[0]
    return f", real {(low - zero) * tensor.scales[0]:.6g} to {(high - zero) * tensor.scales[0]:.6g}"


def _by_kind(operators: Sequence[OperatorFacts]) -> Iterator[str]:
    total = sum(each.macs for each in operators)
    names = dict.fromkeys(_called(each) for each in operators)
    counted = []
    for name in names:
        mine = [each for each in operators if _called(each) == name]
        work = sum(each.macs for each in mine)
        share = f" ({100 * work / total:.0f} % of the MACs)" if work and total else ""
        counted.append(f"{len(mine)} {name}{share}")
    yield from _wrapped(f"kinds: {', '.join(counted)}", "  ")


def _called(operator: OperatorFacts) -> str:
    return f"CUSTOM {operator.custom}" if operator.custom else operator.name


def _operator(operator: OperatorFacts, tensors: Sequence[TensorFacts]) -> Iterator[str]:
    name = _called(operator)
    costs = "".join(f"{count:>14,}" if count else f"{'-':>14}" for count in (operator.macs, operator.parameters))
    yield f"{operator.index:>4} {name:<{_NAME}.{_NAME}}{costs}"
    for arrow, indices in (("<-", operator.inputs), ("->", operator.outputs)):
        for index in indices:
            if index >= 0:
                yield from _wrapped(f"{'':>5}{arrow} {_role(tensors[index])}{index} {_type(tensors[index])}", " " * 10)


def _role(tensor: TensorFacts) -> str:
    return "" if tensor.role == "activation" else f"{tensor.role} "


def _type(tensor: TensorFacts) -> str:
    """`INT8 [1, 64, 3] scale 0.02, zero point 3`; of many scales, how many and from where to where."""
    text = f"{tensor.type} {list(tensor.shape)}"
    if len(tensor.scales) > 1:
        spread = f"{min(tensor.scales):.4g} to {max(tensor.scales):.4g}"
        return f"{text} per channel, {len(tensor.scales)} scales {spread}"
    if tensor.scales:
        return f"{text} scale {tensor.scales[0]:.6g}, zero point {(*tensor.zero_points, 0)[0]}"
    return text


def _engine(engine: Engine) -> Iterator[str]:
    if engine.accepted:
        yield f"{engine.name}: runs it"
        return
    faults = sum(refusal.count for refusal in engine.refusals)
    kinds = len(engine.refusals)
    counted = f"{faults} fault{'s' * (faults != 1)} of {kinds} kind{'s' * (kinds != 1)}"
    yield f"{engine.name}: refuses it, {counted}"
    for number, refusal in enumerate(engine.refusals, 1):
        following = engine.refusals[number] if number < len(engine.refusals) else None
        yield from _refusal(number, refusal, following)


def _refusal(number: int, refusal: Refusal, following: Refusal | None) -> Iterator[str]:
    """One fix stands below all that it cures."""
    yield from _wrapped(f"{number:>3}. {refusal.where}: {refusal.problem}", "     ")
    for setting in refusal.settings:
        yield from _wrapped(f"     led to by: {setting}", "       ")
    if following is None or following.fix != refusal.fix:
        yield from _wrapped(f"     fix: {refusal.fix}", "       ")


def _settings(settings: Sequence[Setting]) -> Iterator[str]:
    if settings:
        yield ""
        yield "what was chosen, or left as it is by default:"
    for setting in settings:
        more = f" and {len(setting.where) - _SHOWN_PLACES} more" if len(setting.where) > _SHOWN_PLACES else ""
        yield from _wrapped(f"  {setting.setting}", "    ")
        yield from _wrapped(f"    seen at {', '.join(setting.where[:_SHOWN_PLACES])}{more}", "      ")


def _wrapped(text: str, following: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=following, break_on_hyphens=False)


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
