"""Which of some modules each command loads: ``loaded_modules.py MODULE,MODULE < COMMANDS.json``.

Every command runs in a forked process of its own, so that none sees what another has loaded.
"""

import json
import os
import sys

import scipy.signal  # noqa: F401 - once for all of them
import torch  # noqa: F401

from speechkit.cli.main import main

watched = sys.argv[1].split(",")
for command in json.load(sys.stdin):
    assert not set(watched) & set(sys.modules)
    if not (child := os.fork()):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = main(command)
        print(json.dumps([code, sorted(set(watched) & set(sys.modules))]), file=sys.__stderr__)
        sys.__stderr__.flush()
        os._exit(0)
    os.waitpid(child, 0)
