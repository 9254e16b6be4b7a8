"""Curves of a training where others look at them: TensorBoard, Weights & Biases, MLflow.

A command opens them once (:func:`shown`); whatever trains asks :func:`listener` for what is to be
called with each row, and gets one that does nothing where nobody looks. The log is the truth: a
service that fails in the course of a training is given up with a warning.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechkit.base.errors import MissingDependency, UserError, one_line
from speechkit.base.log import logger
from speechkit.training.config import CurvesConfig
from speechkit.training.devices import ranks
from speechkit.training.tracking import EventFile
from speechkit.workdir import Output

Tell = Callable[[int, dict[str, float]], None]
_AXIS = "trainer/global_step"  # of the training library's logger
_EXTRA = "tracking"
_TAG = "speechkit.run"


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        group: the experiment, as ``emotion/base``.
        name: of the training in it, as ``fold0/seed1``.
        parameters: of the command.
        identity: the same for the same training, so that one that is taken up continues its curve.
    """

    group: str
    name: str
    parameters: Mapping[str, Any]
    identity: str


class Service(ABC):
    """Where curves are shown."""

    name: str

    def __init__(self) -> None:
        self._ends = list[Callable[[bool], None]]()  # of its runs; told whether they failed

    @abstractmethod
    def begin(self, run: Run, step: int) -> Tell:
        """Open a run with its first row; returns what writes a row.

        Raises:
            UserError: it cannot be reached or does not let us in.
        """

    def end(self, failed: bool) -> None:
        """No row follows."""
        for end in self._ends:
            end(failed)

    def _refused(self, error: Exception, remedy: str) -> UserError:
        return UserError(f"{self.name} cannot be used: {one_line(error)}", remedy)


class TensorBoard(Service):
    """Event files in a folder of one's own, a subfolder for each run.

    The training library's logger would write from a thread that prints a traceback when the disk
    is full; :class:`EventFile` does not.
    """

    name = "TensorBoard"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def begin(self, run: Run, step: int) -> Tell:
        file = EventFile(self._folder / run.group / run.name, step)
        self._ends.append(lambda failed: file.close())
        return lambda step, row: file.add_row(row, step)


class WeightsAndBiases(Service):
    """Runs of a project; ``WANDB_MODE=offline`` writes files in the working directory instead."""

    name = "Weights & Biases"

    def __init__(self, project: str, folder: Path) -> None:
        super().__init__()
        try:
            import wandb
        except ImportError as error:
            raise MissingDependency("wandb", _EXTRA) from error
        self._wandb: Any = wandb
        entity, _, self._project = project.rpartition("/")
        self._entity, self._folder = entity or None, folder

    def begin(self, run: Run, step: int) -> Tell:
        from lightning.pytorch.loggers import WandbLogger

        try:
            made = self._wandb.init(
                project=self._project,
                entity=self._entity,
                group=run.group,
                name=f"{run.group}/{run.name}",
                config=dict(run.parameters),
                id=run.identity,
                resume="allow",
                dir=str(self._folder),
                reinit="create_new",  # seeds that are trained together are open together
            )
        except self._wandb.Error as error:
            raise self._refused(error, "Log in with: wandb login") from error
        self._ends.append(lambda failed: made.finish(exit_code=int(failed)))
        made.define_metric(_AXIS)
        made.define_metric("*", step_metric=_AXIS)
        written = WandbLogger(experiment=made)
        return lambda step, row: written.log_metrics(row, step)


class MLflow(Service):
    """Runs on a tracking server, or in a folder or database (``sqlite:///FILE``)."""

    name = "MLflow"

    def __init__(self, uri: str) -> None:
        super().__init__()
        try:
            import mlflow
        except ImportError as error:
            raise MissingDependency("mlflow", _EXTRA) from error
        self._mlflow: Any = mlflow
        self._uri = uri

    def begin(self, run: Run, step: int) -> Tell:
        from lightning.pytorch.loggers import MLFlowLogger

        failure = self._mlflow.exceptions.MlflowException
        try:
            made = MLFlowLogger(
                run.group, run.name, self._uri, {_TAG: run.identity}, run_id=self._earlier(run)
            )
            if made.experiment.get_run(made.run_id).data.params == {}:
                made.log_hyperparams(dict(run.parameters))
        except failure as error:
            raise self._refused(error, "Name a server, or sqlite:///FILE.") from error
        given_up: list[bool] = []

        def tell(step: int, row: dict[str, float]) -> None:
            if given_up:
                return
            try:
                made.log_metrics(row, step)
            except failure as error:
                given_up.append(True)
                logger.warning(
                    f"MLflow: {one_line(error)}. This run goes on without it. The log has all "
                    "values."
                )

        def end(failed: bool) -> None:
            if not given_up:
                made.finalize("failed" if failed else "success")

        self._ends.append(end)
        return tell

    def _earlier(self, run: Run) -> str | None:
        """The id of the run of theirs that this one continues."""
        client = self._mlflow.tracking.MlflowClient(self._uri)
        experiment = client.get_experiment_by_name(run.group)
        if experiment is None:
            return None
        wanted = f"tags.`{_TAG}` = '{run.identity}'"
        found = client.search_runs([experiment.experiment_id], wanted)
        return str(found[0].info.run_id) if found else None


class Shown:
    """The open services of a command.

    Args:
        services: where curves are shown.
        root: the working directory.
        parameters: of the command.
    """

    def __init__(self, services: list[Service], root: Path, parameters: Mapping[str, Any]) -> None:
        self._services, self._root = services, root.resolve()
        self._parameters: dict[str, Any] = json.loads(json.dumps(dict(parameters), default=str))

    def listener(self, folder: Path) -> Tell:
        """As the function of this name."""
        tells: list[Tell] = []

        def tell(step: int, row: dict[str, float]) -> None:
            if not tells:
                run = self._run(folder)
                tells.extend(service.begin(run, step) for service in self._services)
            for one in tells:
                one(step, row)

        return tell

    def _run(self, folder: Path) -> Run:
        """Named by its folder: ``exp/emotion/base/fold0/.seed1.partial`` is
        ``fold0/seed1`` of ``emotion/base``."""
        parts = folder.resolve().relative_to(self._root / "exp").parts
        names = [p[1:].removesuffix(".partial") if p.startswith(".") else p for p in parts]
        names = [name for name in names if name != "tensorboard"]
        group, name = "/".join(names[:2]), "/".join(names[2:]) or "model"
        key = json.dumps([str(self._root), group, name, self._parameters], sort_keys=True)
        identity = hashlib.sha256(key.encode()).hexdigest()[:16]
        return Run(group, name, self._parameters, identity)


_open: list[Shown] = []


def listener(folder: Path) -> Tell:
    """What is to be called with each step (or epoch) and its row of a training.

    A run of theirs begins with the first row, so that what is up to date makes none.

    Args:
        folder: that the training writes, below ``exp/``.
    """
    return _open[-1].listener(folder) if _open else lambda step, row: None


def listeners(outputs: Mapping[int, Output], seeds: Sequence[int], part: str = "") -> list[Tell]:
    """The same for seeds that are trained in one; those that are finished already say nothing.

    Args:
        outputs: folder of each seed that is to be finished.
        seeds: that are trained.
        part: of the training, if it has several.
    """
    found = {seed: listener(out.path / part) for seed, out in outputs.items()}
    return [found.get(seed, lambda step, row: None) for seed in seeds]


@contextmanager
def shown(config: CurvesConfig, root: Path, parameters: Mapping[str, Any]) -> Iterator[None]:
    """Inside, trainings show their curves; in the first process only.

    Args:
        config: where.
        root: the working directory.
        parameters: of the command; with the folder they tell one training from another.

    Raises:
        MissingDependency: a package of the extra ``tracking`` is not installed.
    """
    services: list[Service] = []
    if not ranks().rank:
        if config.curves:
            services.append(TensorBoard(Path(config.curves)))
        if config.wandb:
            services.append(WeightsAndBiases(config.wandb, root))
        if config.mlflow:
            services.append(MLflow(config.mlflow))
    if not services:
        yield
        return
    _open.append(Shown(services, root, parameters))
    failed = True

    def end() -> None:
        for service in services:
            service.end(failed)

    with ExitStack() as stack:
        stack.callback(end)
        stack.callback(_open.pop)
        yield
        failed = False
