"""The folder of a run in progress, what a dead run left in it, and long maps kept in parts."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from speechkit.base import files
from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.base.parallel import Item, MapResult, Result, map_items
from speechkit.workdir.manifest import Key, changed, damaged_outputs, read_json, read_manifest

SCRATCH = ".scratch"  # folder of finished parts
_FINISHED = "finished.txt"


def note_finished(part: Path, text: str) -> None:
    """Say how far a run is, for whoever might discard it unfinished.

    Args:
        part: that was finished (of ``Output.part``; elsewhere nothing is noted).
        text: e.g. ``epoch 7 of 20``.
    """
    for folder in part.parents:
        if folder.name == SCRATCH:
            (folder / _FINISHED).write_text(text, encoding="utf-8")
            return


def finished_of(partial: Path) -> str:
    """How far the run of a hidden folder is, as it noted itself; empty for nothing."""
    scratch = partial / SCRATCH
    try:
        return (scratch / _FINISHED).read_text(encoding="utf-8")
    except OSError:
        kept = [p for p in scratch.rglob("*") if p.is_file() and p.suffix != ".tmp"]
        return f"finished parts: {len(kept)}" if kept else ""


def of_network(state: Path, text: str) -> str:
    """How far a training is; one of several networks or stages has its file's name."""
    return text if state.stem in ("last", "state") else f"{text} of {state.stem}"


def with_batch_size(old: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an unfinished run, with the batch size of ``now`` where it can go on so.

    Batches of another size come from the same order of the same epoch, and rates depend on
    epochs. Where the optimizer's steps are what is counted (``accumulate``), a step must
    stay as large as it was.
    """
    found = copy.deepcopy(dict(old))
    for there, here in ((found, now), (found.get("chunks"), now.get("chunks"))):
        if isinstance(there, dict) and isinstance(here, Mapping) and "batch_size" in here:
            names = [name for name in ("batch_size", "accumulate") if name in here]
            steps = [math.prod(each.get(name, 0) for name in names) for each in (there, here)]
            if "accumulate" not in here or steps[0] == steps[1]:
                there.update({name: here[name] for name in names})
    return found


class Unfinished:
    """A hidden sibling of an output, ``.NAME.partial``.

    Args:
        resume: the stage keeps finished parts and goes on from them.
        training: the stage is a training.
        other_batch_size: go on also from a training of another batch size.

    Attributes:
        continued: where the run went on with another batch size, what it was before and how
            far it came with it.
    """

    def __init__(
        self, final: Path, key: Key, resume: bool, training: bool, other_batch_size: bool
    ) -> None:
        self.final, self.key, self.resume = final, key, resume
        self.training, self.other_batch_size = training, training and other_batch_size
        self.path = partial_of(final)
        self.scratch = self.path / SCRATCH
        self.key_file = self.path / ".key.json"
        self.continued: list[dict[str, Any]] = []

    def open(self, force: bool, beside: str) -> bool:
        """Take up what a dead run left, or begin anew.

        Args:
            beside: what the user can do instead, for the message.

        Returns:
            Whether there is something to take up.

        Raises:
            UserError: a dead run has finished parts that are of no use to this command.
        """
        if not self.path.exists():
            self._begin()
            return False
        found = read_json(self.key_file) or self._manifest()
        known = isinstance(found, dict) and isinstance(found.get("params"), dict)
        there: dict[str, Any] = dict(found or {}) if known else {}
        finished = self._finished(there)
        params, inputs = self.key.other_params(there), []
        smaller = with_batch_size(there.get("params", {}), self.key.params)
        can_go_on = self.training and not self.key.other_params({**there, "params": smaller})
        if can_go_on or not params:
            changed_ones = self.key.inputs.changed(there.get("inputs", {}))
            inputs = [f"{name} changed since" for name in changed_ones]
        differing = inputs if can_go_on and self.other_batch_size else params + inputs
        if self.resume and not force and not differing:
            self._take_up(there, finished)
            return self.scratch.exists()
        if finished and not force:
            finish = "Finish it"
            if can_go_on and not inputs:
                finish = "Go on from there with this batch size: `continue`. Or finish it"
            raise UserError(
                f"{self.final} has an unfinished run ({finished}), from which this command "
                f"differs ({'; '.join(differing)}).",
                f"{finish} with the command and the inputs that it began with, or discard what "
                f"it has finished with `force` or by deleting {self.path}, or {beside}.",
            )
        files.remove_tree(self.path)
        self._begin()
        return False

    def is_complete(self) -> bool:
        """Whether a dead run of this key has finished all but putting its output in place."""
        found = self._manifest()
        if found is None or self.key.other_params(found):
            return False
        return not self.key.inputs.changed(found.get("inputs", {}))

    def _manifest(self) -> dict[str, Any] | None:
        """The manifest of an output that is whole: it is written behind all else."""
        found = read_manifest(self.path)
        whole = found is not None and not damaged_outputs(self.path, found.get("outputs", {}))
        return found if whole else None

    def read_inputs(self) -> None:
        """Read what is not known of the inputs, so that they can be compared by content."""
        before = self.key.inputs.as_dict()
        self.key.inputs.read()
        if self.key.inputs.as_dict() != before:
            self._write_key()

    def remove_unless_kept(self) -> None:
        """Remove the folder if no finished part is there for a next run."""
        if not (self.resume and self.scratch.exists()):
            files.remove_tree(self.path)

    def _begin(self) -> None:
        files.make_dirs(self.path)
        self._write_key()

    def _write_key(self) -> None:
        more = {"resume": self.resume, "continued": self.continued}
        with files.atomic_write(self.key_file) as file:
            json.dump({**self.key.as_dict(), **more}, file)

    def _finished(self, there: dict[str, Any]) -> str:
        """What a dead run has finished, in words; empty for nothing."""
        if self._manifest() is not None:
            return "all of it"
        if not there.get("resume", self.resume):
            return ""  # its parts are of use to nobody
        return finished_of(self.path)

    def _take_up(self, there: dict[str, Any], finished: str) -> None:
        for left in self.path.iterdir():  # half-written files of the dead run
            if left.is_file() and left != self.key_file:
                left.unlink()
        if self.scratch.exists():
            told = f" ({finished})" if finished else ""
            logger.info(f"{self.final}: taking up an unfinished run{told}.")
        self.continued = list(there.get("continued", []))
        if differing := changed(there["params"], self.key.params):
            self.continued.append({"changed": differing, "after": finished})
            self._write_key()


def partial_of(final: Path) -> Path:
    """The folder in which an output is made."""
    return final.with_name(f".{final.name}.partial")


def split(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Parts of ``size`` items; the last may be shorter."""
    return [items[first : first + size] for first in range(0, len(items), size)]


def map_parts(
    function: Callable[[Item], Result],
    parts: Sequence[Sequence[Item]],
    kept: Sequence[bool],
    kept_in: Path | None = None,
    **how: Any,
) -> Iterator[list[MapResult[Item, Result]] | None]:
    """Map the items of the parts that are not kept yet, and yield what became of each part.

    It is one map: processes start once, and go on with the next part while the caller
    writes the last one. Exhaust it (``zip(..., strict=True)`` does): that ends the map.

    Args:
        kept: for each part, whether an earlier run has kept it; such a part yields None.
        kept_in: folder of the caller's parts, where it is noted how far the map is.
        how: see :func:`speechkit.base.parallel.map_items`.
    """
    items = [item for part, old in zip(parts, kept, strict=True) if not old for item in part]
    if not items:
        how["label"] = ""
    done: Any = map_items(function, items, **how)
    size = how.get("size", lambda item: 1)
    sizes = [sum(map(size, part)) for part in parts]
    units = "utterances" if how.get("unit", "utt") == "utt" else f"{how['unit']}s"
    with closing(done):
        for number, (part, old) in enumerate(zip(parts, kept, strict=True), start=1):
            yield None if old else list(islice(done, len(part)))
            if kept_in is not None and not old:  # by now the caller has kept it
                finished = sum(sizes[:number])
                note_finished(kept_in / "part", f"{finished:,} of {sum(sizes):,} {units}")
        for _ in done:  # lets the map end its progress and its workers
            pass


def read_rows(path: Path, part: Sequence[Any]) -> Any:
    """Rows of a part that :func:`write_rows` kept; None where they cannot be read."""
    return read_json(path)


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    """Keep the rows of a part, as JSON."""
    with files.atomic_write(path) as file:
        json.dump(rows, file)


def map_kept(
    function: Callable[[Item], Any],
    items: Sequence[Item],
    per_part: int,
    part: Callable[[str], Path],
    ending: str = ".json",
    *,
    read: Callable[[Path, Sequence[Item]], list[Any] | None] = read_rows,
    write: Callable[[Path, list[Any]], None] = write_rows,
    batches: bool = False,
    **how: Any,
) -> tuple[list[Any], list[list[str]]]:
    """All rows of all items, and (name, reason) of those that were skipped.

    Parts of ``per_part`` items are kept. One with skipped items is made again by a resumed run:
    they may have been mended since, or the run may now have to stop at them.

    Args:
        function: item -> row; of ``batches``: batch -> its rows, and its skipped items.
        part: name -> where a part is kept.
        ending: of these names.
        read: rows of a part that was kept; None where they are not those of the part.
        write: keeps the rows of a part.
        how: see :func:`map_parts`.
    """
    parts = split(items, per_part)
    paths = [part(f"{number:05d}{ending}") for number in range(len(parts))]
    old = [read(*each) if each[0].exists() else None for each in zip(paths, parts, strict=True)]
    folder = paths[0].parent if paths else None
    outcomes = map_parts(function, parts, [kept is not None for kept in old], folder, **how)
    rows: list[Any] = []
    skipped: list[list[str]] = []
    for path, kept, outcome in zip(paths, old, outcomes, strict=True):
        found, bad = kept or [], list[list[str]]()
        for done in outcome or ():
            if done.value is None:
                bad.append([how["name"](done.item), done.error or ""])
            elif batches:
                found += done.value[0]
                bad += done.value[1]
            else:
                found.append(done.value)
        if outcome and not bad:
            write(path, found)
        rows += found
        skipped += bad
    return rows, skipped
