"""How OpenMP's threads wait: set before PyTorch is loaded, unless the user has said it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from speechkit.__main__ import WAITING, wait_briefly

TORCH = Path(importlib.util.find_spec("torch").submodule_search_locations[0])
LIBRARY = TORCH / "lib" / "libgomp.so.1"


def test_set_where_nothing_is_said() -> None:
    environment = {"OMP_NUM_THREADS": "2"}
    wait_briefly(environment)
    assert environment == {"OMP_NUM_THREADS": "2", **WAITING}


@pytest.mark.parametrize(
    "said", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}, {"KMP_BLOCKTIME": "200"}]
)
def test_what_the_user_says_stays(said) -> None:
    environment = dict(said)
    wait_briefly(environment)
    assert environment == said


def test_the_program_sets_it_before_torch_is_loaded() -> None:
    code = """
import os, sys
for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
    os.environ.pop(name, None)
from speechkit import __main__
def check(environment):
    assert "torch" not in sys.modules
    set_then(environment)
set_then, __main__.wait_briefly = __main__.wait_briefly, check
sys.argv = ["speechkit", "--version"]
try:
    __main__.entry()
except SystemExit:
    print(os.environ["GOMP_SPINCOUNT"], os.environ["KMP_BLOCKTIME"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split()[-2:] == list(WAITING.values()), done.stderr


@pytest.mark.skipif(not LIBRARY.is_file(), reason="PyTorch has another OpenMP library here")
def test_the_library_takes_it() -> None:
    code = f"import ctypes; ctypes.CDLL({str(LIBRARY)!r})"
    environment = {"OMP_DISPLAY_ENV": "verbose"}
    wait_briefly(environment)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert f"GOMP_SPINCOUNT = '{WAITING['GOMP_SPINCOUNT']}'" in done.stderr
