"""``speechkit mix``."""

from __future__ import annotations

from speechkit.cli.shared import Dir, Force, Jobs, Json, OutName
from speechkit.separation.config import MixConfig


def mix(
    mixing: MixConfig, name: OutName, directory: Dir, jobs: Jobs, force: Force, as_json: Json
) -> None:
    """Make a fixed set of mixtures of different speakers: data/SET_2mix/.

    It is a list of utterances, gains and offsets: audio is mixed when it is read.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.separation import mix as stage

    folder = stage.mix(directory, mixing, name, jobs, force)
    summary = stage.summary(folder)
    if as_json:
        print_json({"output": str(folder), **summary})
    else:
        print_table(str(folder), ("measure", "value"), list(summary.items()))
