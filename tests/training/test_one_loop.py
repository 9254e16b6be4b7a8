"""There is one training loop: gradients and steps of an optimizer come from one file alone."""

import ast
import subprocess
import sys
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


_CHILD = """
import sys, tempfile, pathlib, torch
from speechkit.training.config import FitConfig
from speechkit.training.loop import fit
from speechkit.training.state import Trainable

class Line(Trainable):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(2, 1)
    def loss(self, batch):
        return self.line(batch).square().mean()
    def measure(self):
        return {"loss": 1.0}

folder = pathlib.Path(tempfile.mkdtemp())
config = FitConfig(1, 0.1, 1.0, 0, "loss", "32-true", 60.0, 0)
fit(Line(), lambda step: [torch.ones(1, 2)] * 3, config, per_epoch=3, device=torch.device("cpu"),
    checkpoint=folder / "last.ckpt", tensorboard=folder / "tb", label="toy")
print(sorted({"lightning", "pytorch_lightning", "lightning_fabric"} & set(sys.modules)))
"""


def test_one_process_with_32_bits_on_a_cpu_needs_no_fabric():
    done = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr[-2000:]
