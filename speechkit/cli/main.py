"""The ``speechkit`` program: its commands, and what its exit codes mean."""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

import speechkit
from speechkit import log
from speechkit.errors import UserError

OK, BUG, USER_ERROR, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="speechkit",
    help="Find the hard samples in speech data, train on them, and measure the tail.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"speechkit {speechkit.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Find the hard samples in speech data, train on them, and measure the tail.

    Stages read and write a working directory (-C DIR): sets in data/, outputs in exp/.
    """


def _add_commands() -> None:
    from speechkit.cli import (
        align,
        compare,
        correlation,
        deep,
        doctor,
        evaluate,
        gop,
        hidden,
        mine,
        mix,
        predict,
        prepare,
        prosody,
        report,
        share,
        split,
        split_folds,
        synthesize,
        train,
        validate,
        xvector,
    )

    app.add_typer(prepare.app, name="prepare")
    app.command("validate")(validate.validate)
    app.command("split")(split.split)
    app.command("split-folds")(split_folds.split_folds)
    app.command("mix")(mix.mix)
    app.command("align")(align.align)
    app.command("extract-prosody")(prosody.extract_prosody)
    app.command("extract-xvector")(xvector.extract_xvector)
    app.command("extract-gop")(gop.extract_gop)
    app.command("extract-deep")(deep.extract_deep)
    app.command("extract-hidden")(hidden.extract_hidden)
    app.command("mine-hard")(mine.mine_hard)
    app.command("synthesize-scores")(synthesize.synthesize_scores)
    app.add_typer(train.app, name="train")
    app.add_typer(evaluate.app, name="evaluate")
    app.add_typer(compare.app, name="compare")
    app.command("analyze-correlation")(correlation.analyze_correlation)
    app.add_typer(predict.app, name="predict")
    app.command("report")(report.report)
    app.command("export")(share.export_model)
    app.command("import")(share.import_model)
    app.command("doctor")(doctor.doctor)


_add_commands()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 done; 1 a bug in speechkit, with its traceback; 2 the user's input; 130 interrupted.
    """
    log.setup()
    log.forget_notes()
    try:
        _no_nul(sys.argv[1:] if arguments is None else arguments)
        code = app(arguments, prog_name="speechkit", standalone_mode=False)
        if code == INTERRUPTED:  # Typer has caught the interrupt itself
            raise KeyboardInterrupt
        return code if isinstance(code, int) else OK
    except UserError as error:
        _say(error.problem, error.remedy)
    except typer.TyperException as error:  # wrong flags and values
        from typer.rich_utils import rich_format_error

        rich_format_error(error)  # type: ignore[arg-type]
    except (KeyboardInterrupt, typer.Abort):
        _say("Interrupted. The same command takes up what was finished.", "")
        return INTERRUPTED
    except OSError as error:
        return _system_error(error)
    except Exception as error:
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            _say("Interrupted.", "")  # while a class was being made, which wraps it
            return INTERRUPTED
        return _bug()
    return USER_ERROR


def _no_nul(arguments: list[str]) -> None:
    if odd := next((word for word in arguments if "\0" in word), None):
        raise UserError(f"The argument {odd!r} holds a NUL character.", "No name or path has one.")


def _system_error(error: OSError) -> int:
    """A full disk or a missing permission is the user's to mend; the rest is a bug."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        _say(f"The disk is full{where}.", "Free some space and run the same command again.")
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        _say(
            f"No permission{where}: {error.strerror}.",
            "Ask for access to it, or choose a working directory of your own with -C DIR.",
        )
    elif error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        _say(
            f"A file cannot be reached{where}: {error.strerror}.",
            "A name can have 255 bytes (letters other than a to z need 2 to 4 each, and some names "
            "get an ending), a path 4096; links may not lead in circles.",
        )
    elif error.errno == errno.EPIPE:  # `speechkit ... | head`
        sys.stderr.close()
        return BUG
    else:
        return _bug()
    return USER_ERROR


def _bug() -> int:
    import traceback

    traceback.print_exc()
    print(
        "This is a bug in speechkit; please report it with the lines above "
        f"(version {speechkit.__version__}).",
        file=sys.stderr,
    )
    return BUG


def _say(problem: str, remedy: str) -> None:
    from rich.console import Console
    from rich.text import Text

    text = Text.assemble(("error: ", "bold red"), problem)
    if remedy:
        text.append(f"\n       {remedy}")
    Console(stderr=True, soft_wrap=True).print(text)
