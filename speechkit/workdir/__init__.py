"""The working directory, and outputs that are all or nothing with a manifest of how they came."""

from speechkit.workdir.folder import WorkDir, check_name
from speechkit.workdir.output import Output

__all__ = ["Output", "WorkDir", "check_name"]
