"""The results of all campaigns as a table of Markdown, for docs/reliability.md.

python tests/campaigns/summary.py [-v]        -v adds every kind of bad ending
"""

from __future__ import annotations

import collections
import json
import sys

from campaign import top


def main() -> None:
    print("| campaign | asked | cases | commands | bad | endings |")
    print("|---|---|---|---|---|---|")
    for file in sorted((top() / "results").glob("*.json")):
        told = json.loads(file.read_text())
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(told["codes"].items()))
        cells = (
            told["campaign"],
            told["asked"] or "all",
            told["cases"],
            told["tries"],
            told["bad"],
        )
        print(f"| {' | '.join(map(str, cells))} | {codes} |")
        if "-v" in sys.argv:
            kinds = collections.Counter(bad["problem"][:150] for bad in told["bad_endings"])
            for kind, count in kinds.most_common():
                what = next(b["what"] for b in told["bad_endings"] if b["problem"][:150] == kind)
                print(f"    {count:4} {kind}\n           e.g. {what[:170]}")


if __name__ == "__main__":
    main()
