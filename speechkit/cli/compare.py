"""``speechkit compare TASK``."""

from __future__ import annotations

import typer

from speechkit.cli.flags import stage
from speechkit.pronunciation import config as pronunciation
from speechkit.scoring import inference_config as scoring
from speechkit.separation import inference_config as separation

app = typer.Typer()

for _task, _module, _config in (
    ("pronunciation", "evaluate", pronunciation.ComparisonConfig),
    ("scoring", "evaluate", scoring.ComparisonConfig),
    ("separation", "compare", separation.ComparisonConfig),
):
    _options = "out_name=variant_name force directory"
    _run = f"{_task}.{_module}:compare"
    stage(app, _task, _run, _config, _options, shown="COMPARISON.answer")
