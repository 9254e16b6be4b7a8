"""``--help`` of a command: flags under headings, a line each where that is enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

from speechkit.base.log import worded

_ORDER = ("Arguments", "Options", "Data", "Model", "Training", "Machine", "Output")
_NAMES = 29  # columns that the names of flags take at most
_SAME = 4  # flags with the same words as default: the heading has them instead


class GroupedHelp(TyperCommand):
    """A command whose ``--help`` fits a screen or two."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage, description, and the flags under their headings."""
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False)
        usage = " ".join([ctx.command_path, *self.collect_usage_pieces(ctx)])
        console.print(Text.assemble(("Usage: ", "yellow"), usage))
        for paragraph in (self.help or "").split("\n\n"):
            console.print()
            console.print(Text(worded(" ".join(paragraph.split()))))
        groups: dict[str, list[Any]] = {}
        parameters: list[Any] = self.get_params(ctx)
        for parameter in parameters:
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            kind = "Output" if parameter.name == "help" else kind
            groups.setdefault(parameter.rich_help_panel or kind, []).append(parameter)
        console.print()
        for name in sorted(groups, key=_ORDER.index):
            _print_group(console, name, groups[name], ctx)


def _print_group(console: Any, name: str, parameters: Sequence[Any], ctx: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    defaults = Counter(p.show_default for p in parameters if isinstance(p.show_default, str))
    ((most, count),) = defaults.most_common(1) or [("", 0)]
    common = most if count >= _SAME else ""
    console.print(Text.assemble((name, "bold"), (f" [{common}]" if common else "", "dim")))
    names = [_names(parameter) for parameter in parameters]
    table = Table.grid(padding=(0, 1))
    table.add_column(width=min(max(map(len, names)), _NAMES), overflow="fold")
    table.add_column()
    for text, parameter in zip(names, parameters, strict=True):
        table.add_row(Text(text, "cyan"), _description(parameter, ctx, common))
    console.print(table)


def _names(parameter: Any) -> str:
    """As ``--jobs,-j``, ``--[no-]full`` or ``--normalize/--stored-levels``."""
    if parameter.param_type_name == "argument":
        return f"  {parameter.metavar or parameter.name.upper()}"
    opts = sorted(parameter.opts, reverse=True) if parameter.name == "help" else parameter.opts
    names, off = ",".join(opts), "".join(parameter.secondary_opts)
    if off == names.replace("--", "--no-", 1):
        return f"  --[no-]{names[2:]}"
    return f"  {names}/{off}" if off else f"  {names}"


def _description(parameter: Any, ctx: Any, common: str) -> Any:
    """Help and default."""
    from rich.text import Text

    words = worded((parameter.help or "").replace("``", ""))
    text = Text(words if words.endswith("...") else words.removesuffix("."))
    if parameter.required:
        return text.append(" (required)", "red")
    default = parameter.show_default
    if default is True:
        default = _shown(parameter, parameter.get_default(ctx, call=False))
    return text.append(f" [{default}]", "dim") if default and default != common else text


def _shown(parameter: Any, value: Any) -> str:
    """The default as words: of a pair the name that is on."""
    if getattr(parameter, "is_flag", False):
        pair = [*parameter.opts[:1], *parameter.secondary_opts[:1]]
        return pair[not value].lstrip("-") if len(pair) > 1 and value is not None else ""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
