"""Campaign: hostile inputs. No code runs, nothing is written outside, every ending is 0 or 2.

    python tests/campaigns/hostile_inputs.py [--only PART,...]

Parts: pipes archives cards pickles tensors page names recipes.
"""

from __future__ import annotations

import argparse
import resource
import sys

from base import made
from campaign import Tally
from hostile import archives, cards, names, page, pipes, recipes, weights
from hostile.watch import World

PARTS = {
    "pipes": pipes.run,
    "archives": archives.run,
    "cards": cards.run,
    "pickles": weights.run_pickles,
    "tensors": weights.run_tensors,
    "page": page.run,
    "names": names.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join([*PARTS, "recipes"]))
    asked = parser.parse_args()
    made()
    resource.setrlimit(resource.RLIMIT_AS, (9 << 30, 9 << 30))
    failed = 0
    for name in asked.only.split(","):
        tally = Tally(f"hostile_{name}")
        if name == "recipes":
            recipes.run(tally)
        else:
            PARTS[name](World(tally))
        failed += tally.finish()
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
