"""All campaigns, one after the other, and the table of docs/reliability.md.

    python tests/campaigns/run_all.py --keep FOLDER        two to three hours on two cores; as root

Without --keep the folder is a temporary one. The exit code is 1 if anything ended badly.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CAMPAIGNS = [
    ["fuzz_sets.py", "--cases", "3000"],
    ["fuzz_outputs.py", "--cases", "300"],
    ["kill_random.py", "--kills", "60"],
    ["kill_points.py", "--most", "12"],
    ["kill_points.py", "--most", "6", "--fail", "ENOSPC"],
    ["limits.py"],
    ["hostile_inputs.py"],
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", default="", help="a folder for the base and the results")
    asked = parser.parse_args()
    if asked.keep:
        os.environ["SPEECHKIT_CAMPAIGNS"] = asked.keep
    else:
        from campaign import top

        os.environ["SPEECHKIT_CAMPAIGNS"] = str(top())
    codes = []
    for name, *arguments in [["base.py"], *CAMPAIGNS, ["summary.py", "-v"]]:
        print(f"== {name} {' '.join(arguments)}", flush=True)
        codes.append(subprocess.call([sys.executable, str(HERE / name), *arguments]))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
