"""There is one training loop: gradients and steps of an optimizer come from one file alone."""

import ast
from pathlib import Path

import speechkit

FOLDER = Path(speechkit.__file__).parent


def calls(file: Path) -> list[str]:
    """Calls in a file of ``x.backward(...)``, and of ``step`` on what is called an optimizer."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, name = ast.unparse(node.func.value), node.func.attr
            optimizes = owner.rpartition(".")[2] in ("optimizer", "adam", "solver", "scaler")
            if name == "backward" or (name == "step" and optimizes):
                found.append(f"{owner}.{name}")
    return found


def test_gradients_and_steps_come_from_one_file():
    found = {str(f.relative_to(FOLDER)): calls(f) for f in sorted(FOLDER.rglob("*.py"))}
    assert {file for file, named in found.items() if named} == {"training/loop.py"}
    assert sorted(set(found["training/loop.py"])) == [
        "found.backward", "machine.fabric.backward", "optimizer.step", "total.backward",
    ]  # fmt: skip
