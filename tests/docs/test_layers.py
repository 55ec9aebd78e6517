"""The layers of docs/design.md hold: every module of hil/ stands in one, and imports only what stands below it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DESIGN = "docs/design.md"


@dataclass(frozen=True)
class Layer:
    """One entry of the page: a module or a folder. depth: its line, 0 on top."""

    entry: str  # hil/NAME.py, or hil/NAME/
    depth: int

    def holds(self, file: str) -> bool:
        return file.startswith(self.entry) if self.entry.endswith("/") else file == self.entry


def layers_of(root: Path) -> list[Layer]:
    """What the block below "## Layers" says; a line's entries come first, then words."""
    page = (root / DESIGN).read_text(encoding="utf-8")
    block = page.split("\n## Layers\n", 1)[1].split("```\n", 2)[1]
    lines = (re.match(r"(?:hil/\S+\s+)+", line) for line in block.splitlines())
    return [Layer(entry, depth) for depth, line in enumerate(lines) if line for entry in line[0].split()]


def layer_of(file: str, layers: list[Layer]) -> Layer | None:
    """The one whose entry says most of the file: a module that is named stands apart from its folder."""
    holding = [layer for layer in layers if layer.holds(file)]
    return max(holding, key=lambda layer: len(layer.entry), default=None)


def imported(file: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Line and file of each module of hil/ that `file` names: by import, also inside functions, or as a text."""
    package = file.relative_to(root).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            base = ".".join(filter(None, (above, node.module)))
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and re.fullmatch(r"hil(\.\w+)+\.?", str(node.value)):
            names = [str(node.value).rstrip(".")]  # -m hil.NAME, import_module(f"hil.NAME.{kind}")
        else:
            continue
        yield from ((node.lineno, found) for name in names if (found := _file_of(name, root)))


def _file_of(name: str, root: Path) -> str | None:
    """The file of the module that a dotted name is, or is part of; None for names that are not of hil/."""
    parts = name.split(".")
    for length in range(len(parts), 1, -1) if parts[0] == "hil" else ():
        path = Path(*parts[:length])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if (root / file).is_file():
                return str(file)
    return None


def faults(root: Path) -> Iterator[str]:
    """What is not as the page says: modules without a layer, lines without a module, imports that go up or aside."""
    layers = layers_of(root)
    modules = {str(file.relative_to(root)): file for file in sorted((root / "hil").rglob("*.py"))}
    for layer in layers:
        if not any(layer_of(module, layers) == layer for module in modules):
            yield f"{DESIGN}: {layer.entry} stands in a layer, but there is no such module"
    for module, file in modules.items():
        own = layer_of(module, layers)
        if own is None:
            if module != "hil/__init__.py":  # the version, which everybody may ask for
                yield f"{module}: stands in no layer of {DESIGN}"
            continue
        for line, other in imported(file, root):
            theirs = layer_of(other, layers)
            if theirs is not None and theirs != own and theirs.depth <= own.depth:
                way = "beside" if theirs.depth == own.depth else "above"
                yield f"{module}:{line}: imports {other}, but {theirs.entry} stands {way} {own.entry} in {DESIGN}"


def test_every_import_goes_down() -> None:
    assert list(faults(PROJECT)) == []


def test_the_package_itself_imports_nothing_of_its_own() -> None:
    assert list(imported(PROJECT / "hil" / "__init__.py", PROJECT)) == []


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small house in order."""
    page = "# Design\n\n## Layers\nDown.\n\n```\nhil/top.py      translates\nhil/roof/  hil/wall/    two\n"
    page += "hil/low/   below\nhil/roof/values.py    values\n```\n"
    texts = {
        DESIGN: page,
        "hil/__init__.py": "",
        "hil/top.py": "import hil\nfrom hil.roof import tile\n",
        "hil/roof/__init__.py": "",
        "hil/roof/tile.py": "from hil.low.stone import weight\nfrom hil.roof.values import SIZE\n",
        "hil/roof/values.py": "SIZE = 1\n",
        "hil/wall/__init__.py": "",
        "hil/low/__init__.py": "",
        "hil/low/stone.py": "from hil.roof.values import SIZE\n",
    }
    for name, text in texts.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_a_house_in_order_has_no_faults(house: Path) -> None:
    assert list(faults(house)) == []


@pytest.mark.parametrize(
    "code",
    [
        "from hil.roof.tile import weight",
        "from hil.roof import tile",
        "import hil.roof.tile",
        "from ..roof import tile",
        "def late():\n    from hil.roof import tile",
        "if TYPE_CHECKING:\n    from hil.roof import tile",
        'import_module("hil.roof.tile")',
    ],
)
def test_an_import_that_goes_up_is_told_with_file_line_and_both_layers(house: Path, code: str) -> None:
    (house / "hil/low/stone.py").write_text(f"\n{code}\n")
    (fault,) = faults(house)
    line = 2 + code.count("\n")
    assert fault == (
        f"hil/low/stone.py:{line}: imports hil/roof/tile.py, but hil/roof/ stands above hil/low/ in docs/design.md"
    )


def test_an_import_of_a_neighbour_is_told_too(house: Path) -> None:
    (house / "hil/wall/brick.py").write_text("from hil.roof.tile import weight\n")
    (fault,) = faults(house)
    assert "hil/wall/brick.py:1: imports hil/roof/tile.py, but hil/roof/ stands beside hil/wall/" in fault


def test_a_folder_whose_name_stands_only_in_a_text_is_found(house: Path) -> None:
    (house / "hil/low/stone.py").write_text('kind = "x"\nmodule = f"hil.roof.{kind}"\n')
    (fault,) = faults(house)
    assert fault.startswith("hil/low/stone.py:2: imports hil/roof/__init__.py")


@pytest.mark.parametrize("name", ["hil/cellar.py", "hil/cellar/__init__.py"])
def test_a_room_without_a_layer_is_told(house: Path, name: str) -> None:
    (house / name).parent.mkdir(exist_ok=True)
    (house / name).write_text("")
    assert list(faults(house)) == [f"{name}: stands in no layer of docs/design.md"]


def test_a_layer_without_a_room_is_told(house: Path) -> None:
    (house / "hil/top.py").unlink()
    assert list(faults(house)) == ["docs/design.md: hil/top.py stands in a layer, but there is no such module"]
