"""What the evaluations of all tasks share: ``summary.json``, tables that are read again, and
experiments against a baseline on the same items (the stage ``compare TASK``).

A task says what the differences of two evaluations are (:class:`Comparison`); here the evaluations
are found, and ``exp/compare/<task>/<set>/{differences.tsv,summary.json}`` written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from speechkit.base import answers, schema
from speechkit.base.answers import Answer, Rows
from speechkit.base.errors import DataError, UserError
from speechkit.base.log import counted, logger
from speechkit.base.tables import write_json, write_tsv
from speechkit.task.config import ComparisonConfig
from speechkit.workdir import Output, WorkDir, check_name

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "summary.json"
FEW_SPEAKERS = 10  # with fewer, an interval over speakers is rough
Read = TypeVar("Read")
Summary = dict[str, dict[str, Any]]
DIFFERENCES = "differences.tsv"


class Each(NamedTuple):
    """Evaluations of several experiments on one set.

    Args:
        set: its name.
        names: of the experiments.
        folders: of the evaluations.
        summaries: what they say.
    """

    set: str
    names: list[str]
    folders: list[Path]
    summaries: list[Summary]

    def answer(self, title: str, columns: Sequence[str], rows: Rows) -> Answer:
        """Rows for people, and the summaries as data; of one experiment its alone."""
        data = [
            {"output": str(folder), **summary}
            for folder, summary in zip(self.folders, self.summaries, strict=True)
        ]
        lines = list(map(str, self.folders))
        told = [(f"{self.set}: {title}", columns, rows)]
        return Answer(data if len(data) > 1 else data[0], told, lines)


def warn_few_speakers(name: str, speakers: int) -> None:
    """Warn where an interval over speakers is of few of them; ``name`` is what it is of."""
    if speakers < FEW_SPEAKERS:
        logger.warning(
            f"{name}: an interval from {counted(speakers, 'speaker')} is rough; with "
            f"{FEW_SPEAKERS} or more it can be relied on."
        )


def read_summary(folder: Path) -> Summary:
    """``summary.json`` of an evaluation (measure -> ``mean``, ``std``, ``n`` and more) or of a
    comparison."""
    return schema.read_json(folder / SUMMARY, schema.Object)


def evaluate_each(evaluate: Callable[..., Path], work: WorkDir, config: Any, **how: Any) -> Each:
    """Evaluate every experiment that a configuration names, separated by commas."""
    names = [name.strip() for name in config.name.split(",") if name.strip()] or [config.name]
    folders = [evaluate(work, replace(config, name=name), **how) for name in names]
    return Each(config.set, names, folders, [read_summary(folder) for folder in folders])


def read_table(path: Path, made_by: str, convert: Callable[[pd.DataFrame], Read]) -> Read:
    """A table (TSV) that a stage wrote.

    Args:
        path: of it.
        made_by: the command that writes it, for the message.
        convert: makes what is wanted of the table of text; it raises ValueError where the table
            is another one.

    Raises:
        DataError: it is not there, or not such a table.
    """
    import pandas as pd

    try:
        return convert(pd.read_csv(path, sep="\t", quoting=3, dtype=str, keep_default_na=False))
    except (OSError, ValueError) as error:  # pandas' errors of parsing are ValueErrors
        raise DataError(
            f"{path} cannot be read: {error}.", f"Make it again with: speechkit {made_by}"
        ) from error


def numbers(column: pd.Series) -> pd.Series:
    """A column of text as numbers; what is empty is NaN."""
    import pandas as pd

    return pd.to_numeric(column.mask(column == ""))


@dataclass(frozen=True)
class Comparison:
    """What a task says of its comparisons.

    Args:
        task: its name: ``exp/<task>`` holds the experiments.
        tables: files of an evaluation that are read, where it has them.
        numbers: columns of ``differences.tsv`` after experiment and measure.
        interval: what the intervals are, in words.
        found_by: file that every evaluation has.
        measures: key of the measures in what ``summary.json`` says of an experiment; empty where
            it says nothing else.
    """

    task: str
    tables: tuple[str, ...]
    numbers: tuple[str, ...]
    interval: str
    found_by: str = SUMMARY
    measures: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of ``differences.tsv``."""
        return ("experiment", "measure", *self.numbers)

    def rows(self, experiments: Mapping[str, Mapping[str, Any]]) -> list[list[Any]]:
        """Rows of ``differences.tsv`` from the experiments of ``summary.json``."""
        return [
            [name, measure, *(values[column] for column in self.numbers)]
            for name, one in experiments.items()
            for measure, values in (one[self.measures] if self.measures else one).items()
        ]

    def answer(self, folder: Path) -> Answer:
        """The differences to the baseline, a row each."""
        found = read_summary(folder)
        title = f"Differences to {found['baseline']} on {found['set']}"
        return answers.output(folder, found, title, self.columns, self.rows(found["experiments"]))


def evaluated(
    work: WorkDir, comparison: Comparison, set_name: str, names: Sequence[str] = ()
) -> dict[str, Path]:
    """Experiment -> folder of its evaluation on a set.

    Args:
        work: the working directory.
        comparison: of the task.
        set_name: the set.
        names: of the experiments; none: all that were evaluated on it, sorted.

    Raises:
        UserError: one of them was not evaluated on the set.
    """
    check_name("set", set_name)
    task, base = comparison.task, work.exp(comparison.task)
    there = {p.parents[2].name for p in base.glob(f"*/eval/{set_name}/{comparison.found_by}")}
    for name in names:
        if name not in there:
            raise UserError(
                f"The experiment '{name}' was not evaluated on '{set_name}'. "
                f"Evaluated: {', '.join(sorted(there)) or 'none'}.",
                f"Run: speechkit evaluate {task} --name {name} --set {set_name}",
            )
    return {name: base / name / "eval" / set_name for name in names or sorted(there)}


def find_evaluations(
    work: WorkDir, comparison: Comparison, config: ComparisonConfig
) -> dict[str, Path]:
    """Experiment -> folder of its evaluation, the baseline's first.

    Raises:
        UserError: one of them was not evaluated on the set, or only the baseline was.
    """
    named = config.names or tuple(evaluated(work, comparison, config.set))
    names = list(dict.fromkeys((config.baseline, *named)))
    folders = evaluated(work, comparison, config.set, names)
    if len(names) == 1:
        raise UserError(
            f"Only '{config.baseline}' was evaluated on '{config.set}'.",
            "Evaluate another experiment on it.",
        )
    return folders


def compare(
    work: WorkDir,
    comparison: Comparison,
    config: ComparisonConfig,
    differences: Callable[[Mapping[str, Path], str], dict[str, Any]],
    out_name: str = "",
    force: bool = False,
) -> Path:
    """Write ``exp/compare/<task>/<set>/`` and return it.

    Args:
        config: what is compared; what else there is, as for :func:`write_comparison`.
        differences: folders by experiment, and a name -> what ``summary.json`` says of it.

    Raises:
        UserError: see :func:`find_evaluations`; whatever ``differences`` refuses.
    """
    folders = find_evaluations(work, comparison, config)
    names = [name for name in folders if name != config.baseline]
    return write_comparison(
        work,
        comparison,
        {**asdict(config), "names": names},
        list(folders.values()),
        lambda: {name: differences(folders, name) for name in names},
        out_name,
        force,
    )


def write_comparison(
    work: WorkDir,
    comparison: Comparison,
    params: Mapping[str, Any],
    folders: Sequence[Path],
    differences: Callable[[], dict[str, Any]],
    out_name: str = "",
    force: bool = False,
) -> Path:
    """Write ``exp/compare/<task>/<set>/`` and return it.

    Args:
        work: the working directory.
        comparison: of the task.
        params: all that determines the result; ``set``, ``baseline`` and ``samples`` are there.
        folders: the evaluations that are read.
        differences: what ``summary.json`` says of each experiment, by name.
        out_name: suffix of the folder.
        force: replace one made with other parameters.
    """
    every = [folder / table for folder in folders for table in comparison.tables]
    with Output(
        work.exp("compare", comparison.task, params["set"], name=out_name),
        f"compare {comparison.task}",
        params,
        [path for path in every if path.is_file()],
        force=force,
        beside="write beside it with `out_name`",
    ) as out:
        if not out.up_to_date:
            found = differences()
            write_tsv(out.path / DIFFERENCES, comparison.columns, comparison.rows(found), ".4f")
            summary = {
                "set": params["set"],
                "baseline": params["baseline"],
                "bootstrap_samples": params["samples"],
                "interval": comparison.interval,
                "experiments": found,
            }
            write_json(out.path / SUMMARY, summary, ascii_only=False)
            out.counts.update(experiments=len(found), samples=params["samples"])
    return out.final
