"""The process that an interpreter runs in: answers requests until the harness hangs up, or until the interpreter ends
it.

A new request is one function in REQUESTS. It is given the values of `InterpreterProcess.ask` by their names, and
returns those of the answer. What it raises is answered as a refusal, in its words.
"""

from __future__ import annotations

import fcntl
import os
import re
import resource
import runpy
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.interpreter.carried import CarriedInputs
from hil.interpreter.explorer import ARENA_BYTES, CLASSES, Explorer, open_explorer
from hil.interpreter.messages import Values, numbered, receive, send

LITERT_THREADS = 1  # one order of summation on every machine
MOST_DATA = 4 << 30  # bytes of memory; a model that wants more is told so before it takes the machine's
ALIVE_S = 0.2  # between two signs of life


class Room:
    """What a process holds between two requests: the one model that it has opened."""

    def __init__(self, connection: socket.socket) -> None:
        self.interpreter: Any = None
        self.model, self.resources = b"", False  # of LiteRT: whether it has resource variables
        self.inputs: list[Values] = []  # details of the tensors at its ends
        self.outputs: list[Values] = []
        self.explorer: Explorer | None = None
        self._connection, self._last = connection, 0.0

    def alive(self) -> None:
        """Call it between two steps of a long request: the harness waits as long as they come."""
        now = time.monotonic()
        if now - self._last > ALIVE_S:
            self._last = now
            send(self._connection, {"alive": True})


def ready(room: Room) -> Values:
    """Nothing but that the process has started."""
    return {}


def open_tflm(room: Room, model: bytes, arena_bytes: int) -> Values:
    """Open a model with the tflite-micro wheel. Answers `inputs` and `outputs`, in the order of the model: of each
    dtype, shape, scales, zero_points; and `input` and `output`, the first of them.
    """
    from tflite_micro import runtime
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema  # loaded with the wheel anyway

    room.interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)
    graph = schema.Model.GetRootAs(model, 0).Subgraphs(0)  # the wheel does not say how many ends there are
    room.inputs = [room.interpreter.get_input_details(index) for index in range(graph.InputsLength())]
    room.outputs = [room.interpreter.get_output_details(index) for index in range(graph.OutputsLength())]
    return _ends(room.inputs, room.outputs)


def _ends(inputs: list[Values], outputs: list[Values]) -> Values:
    described = {
        side: [_described(each, each["quantization_parameters"]) for each in ends]
        for side, ends in (("inputs", inputs), ("outputs", outputs))
    }
    return {"input": described["inputs"][0], "output": described["outputs"][0], **described}


def arena_tflm(room: Room, model: bytes) -> Values:
    """Set a model up with the tflite-micro wheel, and run nothing. Answers `total`: bytes of arena that it allocates.

    The wheel tells that on its standard error, and nowhere else.
    """
    from tflite_micro import runtime

    kind = runtime.InterpreterConfig.kAllocationRecording
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES, intrepreter_config=kind)
    said = _printed(interpreter.print_allocations)
    found = re.search(r"Arena allocation total (\d+) bytes", said)
    if found is None:
        raise ValueError(f"the wheel says nothing of its arena: {said[:200]!r}")
    return {"total": int(found[1])}


def _printed(call: Callable[[], object]) -> str:
    """What foreign code prints on standard error meanwhile."""
    catch, kept = os.memfd_create("hil-printed"), os.dup(2)
    try:
        os.dup2(catch, 2)
        call()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        size = os.fstat(catch).st_size
        text = os.pread(catch, size, 0).decode(errors="replace")
        os.close(catch)
    return text


def run_tflm(
    room: Room, fresh: NDArray[np.bool_] | None = None, carried: Sequence[Any] = (), **tensors: NDArray[Any]
) -> Values:
    """`outputs` [n, output elements] of input tensors `tensors` [n, input elements], in the types of the model's ends;
    of further inputs and outputs `tensors_1`, `outputs_1` and so on.

    fresh: bool [n], the rows before which all that the model keeps is set back; by default all of them, so that none
    depends on the rows before it. carried: inputs that get an output of the row before, as in `CarriedInputs`; there
    are no tensors of them.
    """
    interpreter = room.interpreter
    outputs: list[list[NDArray[Any]]] = [[] for _ in room.outputs]
    state = CarriedInputs(carried, room.inputs)
    for number, row in enumerate(zip(*_numbered("tensors", tensors), strict=True)):
        room.alive()
        begins = bool(fresh is None or fresh[number])
        if begins:
            interpreter.reset()
        state.begin(begins)
        for index, tensor in (*zip(state.fed, row, strict=True), *state.values.items()):
            interpreter.set_input(tensor.reshape(tuple(room.inputs[index]["shape"])), index)
        interpreter.invoke()
        for index, column in enumerate(outputs):
            column.append(interpreter.get_output(index).reshape(-1))
        state.end([column[-1] for column in outputs])
    return numbered("outputs", [np.array(column) for column in outputs])


def _numbered(name: str, values: Values) -> list[NDArray[Any]]:
    """What `numbered` made values of."""
    return [values[name], *(values[f"{name}_{index}"] for index in range(1, len(values)))]


def open_litert(room: Room, model: bytes) -> Values:
    """Open a model with LiteRT. Answers as `open_tflm`, and `tensors`: [name, dtype] of each tensor."""
    room.model = model
    room.interpreter = _litert(model)
    room.resources = any(each["op_name"] == "VAR_HANDLE" for each in room.interpreter._get_ops_details())
    return {
        **_ends(room.interpreter.get_input_details(), room.interpreter.get_output_details()),
        "tensors": [(each["name"], np.dtype(each["dtype"]).name) for each in room.interpreter.get_tensor_details()],
    }


def run_litert(
    room: Room, fresh: NDArray[np.bool_] | None = None, carried: Sequence[Any] = (), **tensors: NDArray[Any]
) -> Values:
    """As `run_tflm`."""
    inner, outer = room.interpreter.get_input_details(), room.interpreter.get_output_details()
    outputs: list[list[NDArray[Any]]] = [[] for _ in outer]
    state = CarriedInputs(carried, inner)
    for number, row in enumerate(zip(*_numbered("tensors", tensors), strict=True)):
        room.alive()
        begins = bool(fresh is None or fresh[number])
        if begins:
            _forget(room)
        state.begin(begins)
        interpreter = room.interpreter
        for index, tensor in (*zip(state.fed, row, strict=True), *state.values.items()):
            interpreter.set_tensor(inner[index]["index"], tensor.reshape(inner[index]["shape"]))
        interpreter.invoke()
        for each, column in zip(outer, outputs, strict=True):
            column.append(interpreter.get_tensor(each["index"]).reshape(-1))
        state.end([column[-1] for column in outputs])
    return numbered("outputs", [np.array(column) for column in outputs])


def _litert(model: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=LITERT_THREADS)
    interpreter.allocate_tensors()
    return interpreter


def _forget(room: Room) -> None:
    """LiteRT sets variable tensors back, and no resource variables."""
    if room.resources:
        room.interpreter = _litert(room.model)
    else:
        room.interpreter.reset_all_variables()


def shapes_litert(room: Room, model: bytes) -> Values:
    """`shapes` of all tensors of the first subgraph, as TFLite's own operators make them of the inputs' shapes. The
    model runs once on zeros: some sizes are computed.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # a delegate takes operators out, and with them tensors
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=kind, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    for each in interpreter.get_input_details():
        interpreter.set_tensor(each["index"], np.zeros(each["shape"], each["dtype"]))
    interpreter.invoke()
    count = schema.Model.GetRootAs(model, 0).Subgraphs(0).TensorsLength()
    found = {each["index"]: [int(size) for size in each["shape"]] for each in interpreter.get_tensor_details()}
    return {"shapes": [found[index] for index in range(count)]}


def open_tflm_tensors(room: Room, model: bytes, carried: Sequence[Any] = ()) -> Values:
    """Open a model so that its tensors can be looked at. Answers `operators`: index, name, lowest and highest value and
    type of those whose output is looked at. carried: inputs that carry state, as in `CarriedInputs`; they hold what
    they begin a stream with.
    """
    room.explorer = open_explorer(model, carried)
    looks = room.explorer.looks
    return {"operators": [(look.operator, look.name, look.low, look.high, look.element.name) for look in looks]}


def look_tflm(room: Room, **tensors: NDArray[Any]) -> Values:
    """Of input tensors `tensors` [n, input elements], of further inputs `tensors_1` and so on: `outputs` [n, output
    elements], `outputs_1` and so on; `low` and `high` [n, operators], the ends of what the operators' outputs hold;
    `seen` [operators, CLASSES], whether any input brought a value of that class, the lowest first.
    """
    explorer = _explorer(room)
    count, rows = len(explorer.looks), [*zip(*_numbered("tensors", tensors), strict=True)]
    seen = np.zeros((count, CLASSES), np.bool_)
    ends = np.zeros((2, len(rows), count), np.int32)
    outputs: list[list[NDArray[Any]]] = [[] for _ in explorer.outputs]
    for number, row in enumerate(rows):
        room.alive()
        for column, output in zip(outputs, explorer.invoke(row), strict=True):
            column.append(output)
        for place, look in enumerate(explorer.looks):
            values = explorer.tensor(look.tensor)
            ends[0, number, place], ends[1, number, place] = values.min(), values.max()
            seen[place] |= look.classes(values)
    told = numbered("outputs", [np.array(column) for column in outputs])
    return {**told, "low": ends[0], "high": ends[1], "seen": seen}


def clamp_tflm(room: Room, clamps: list[list[int]], **tensors: NDArray[Any]) -> Values:
    """Of one `tensor` of each input, `tensor_1` and so on: the `output`, and `clamped` [clamps, output elements], what
    that is with an operator's output clamped, for each [place in `operators`, low, high]; of further outputs
    `output_1`, `clamped_1` and so on.
    """
    explorer = _explorer(room)
    outputs = explorer.invoke(_numbered("tensor", tensors))
    clamped: list[list[NDArray[Any]]] = [[] for _ in outputs]
    for place, low, high in clamps:
        room.alive()
        for column, output in zip(clamped, explorer.clamped(place, low, high), strict=True):
            column.append(output)
    return {**numbered("output", outputs), **numbered("clamped", [np.array(column) for column in clamped])}


def _explorer(room: Room) -> Explorer:
    if room.explorer is None:
        raise ValueError("open_tflm_tensors comes first")
    return room.explorer


def front_end(room: Room, file: str, function: str, windows: NDArray[Any]) -> Values:
    """Call a Python function of the user's with the windows [n, samples, channels]. Answers `prepared`: its array."""
    sys.path.insert(0, os.path.dirname(file))  # where it may have modules of its own
    module = runpy.run_path(file, run_name="front_end")
    if not callable(module.get(function)):
        raise LookupError(f"there is no function {function!r} in {file}")
    return {"prepared": np.asarray(module[function](windows.copy()))}


REQUESTS: dict[str, Callable[..., Values]] = {
    "ready": ready,
    "open_tflm": open_tflm,
    "run_tflm": run_tflm,
    "arena_tflm": arena_tflm,
    "open_tflm_tensors": open_tflm_tensors,
    "look_tflm": look_tflm,
    "clamp_tflm": clamp_tflm,
    "open_litert": open_litert,
    "run_litert": run_litert,
    "shapes_litert": shapes_litert,
    "front_end": front_end,
}


def _described(details: Values, quantisation: Values) -> Values:
    return {
        "dtype": np.dtype(details["dtype"]).name,
        "shape": [int(size) for size in details["shape"]],
        "scales": [float(scale) for scale in quantisation["scales"]],
        "zero_points": [int(zero_point) for zero_point in quantisation["zero_points"]],
    }


def main(connection: socket.socket, life_line: int) -> None:
    """Serve one harness; never returns. life_line: a pipe that ends when the harness does."""
    _die_with(life_line)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_DATA, MOST_DATA))
    _first_to_go()
    room = Room(connection)
    while True:
        try:
            values = receive(connection)
        except (EOFError, OSError):
            os._exit(0)  # not by way of destructors, which are foreign code too
        try:
            answer = REQUESTS[values.pop("request")](room, **values)
        except Exception as error:  # a damaged model makes a wheel raise whatever it stumbles over
            answer = {"refused": f"{type(error).__name__}: {error}"}
        send(connection, answer)


def _die_with(life_line: int) -> None:
    """Let the kernel kill this process when the harness ends, however it ends and whatever runs here."""
    fcntl.fcntl(life_line, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life_line, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life_line, fcntl.F_SETFL, os.O_ASYNC)
    poll = select.poll()
    poll.register(life_line, select.POLLHUP)
    if poll.poll(0):  # it had ended before
        os._exit(0)


def _first_to_go() -> None:
    """When the machine runs out of memory, this process is the one to end, not the harness."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:
        return
