"""The application: its subcommands, and the one place where errors become exit codes."""

import sys
import warnings
from typing import Annotated, NoReturn, get_args

import typer

import advcli
from advcli.cli import commands, model_group, run_group
from advcli.cli.help import FrontPage, Page
from advcli.cli.housekeeping import tidy
from advcli.cli.streams import OutputLost, Terminated, data, protected, terminable
from advcli.cli.wording import one_line
from advcli.core.choices import Detection
from advcli.errors import AdvcliError

OUR_FAULT = 70
INTERRUPTED = 130
OUTPUT_LOST = 2
PIPE_CLOSED = 141
TERMINATED = 143
MODEL_UNUSABLE = 5

app = typer.Typer(
    name="advcli",
    cls=FrontPage,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
for _name in commands.names():
    app.command(_name, cls=Page, rich_help_panel="Questions")(commands.function(_name))
app.add_typer(run_group.app, name="run", rich_help_panel="Looking after runs and models")
app.add_typer(model_group.app, name="model", rich_help_panel="Looking after runs and models")


def _print_version(wanted: bool) -> None:
    if wanted:
        data().write(f"advcli {advcli.__version__}\n")
        raise typer.Exit


@app.callback()
def advcli_(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; works anywhere.")] = False,
) -> None:
    """Ask an image classifier what it looks at, what fools it, and what it looks at when it is fooled.

    Example, with built-in pictures and a built-in network; then open demo/index.html:
      advcli compare --out demo
    """
    del version, debug  # the one is done by its callback; main takes the other before anything is parsed


def main() -> NoReturn:
    """Run the command line, and leave with the exit code that says how it went."""
    debug = "--debug" in sys.argv
    words = [word for word in sys.argv[1:] if word != "--debug"]
    arguments = [part for place in range(len(words)) for part in _written_out(words, place)]
    # Decoders warn from the threads that read pictures; what is wrong with a picture is in its record.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with protected(), terminable(), tidy():
        code = _run(arguments, debug=debug)
    sys.exit(code)


def _written_out(words: list[str], place: int) -> tuple[str, ...]:
    """Write ``-q=KIND`` out, and ``--detect`` without a value: typer knows no options whose value may be left out."""
    word, following = words[place], words[place + 1 : place + 2]
    option, equals, kind = word.partition("=")
    if equals and option in ("-q", "--quiet"):
        return ("--quiet", "--quiet-kind", kind)
    if word == "--detect" and not (following and following[0] in get_args(Detection)):
        return ("--detect=plain",)
    return (word,)


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        code = app(arguments, prog_name="advcli", standalone_mode=False)
        data().flush()
    except AdvcliError as error:
        return _tell(error.message, error.hint, error.exit_code, debug=debug)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except OutputLost as lost:
        return _tell_lost(lost.reason)
    except Terminated:
        return TERMINATED
    except SystemExit as stop:  # none of ours: the network's own code, or a library
        reason = f"something in the run called sys.exit({stop.code!r})"
        return _tell(reason, "what was finished is kept; is it the network's own code?", MODEL_UNUSABLE, debug=debug)
    except Exception as error:  # noqa: BLE001  the last resort: whatever it is, the user gets a line, not a traceback
        return _tell_unforeseen(error, arguments, debug=debug)
    if code == INTERRUPTED:  # typer too makes this of an interruption that came before there was anything to keep
        return _tell("interrupted; what was finished is kept", "the same command goes on from there", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _tell_lost(reason: str) -> int:
    """Tell that standard output takes no more; a reader that has gone knows."""
    if not reason:
        return PIPE_CLOSED
    hint = "send it elsewhere, or free space; a run keeps what it finished"
    return _tell(f"standard output cannot be written: {reason}", hint, OUTPUT_LOST)


def _tell_unforeseen(error: Exception, arguments: list[str], *, debug: bool) -> int:
    """Tell what is neither a user's mistake that we know nor a wrong option."""
    written = getattr(error, "format_message", None)  # what the parser of the command line raises
    if written is not None:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "advcli"
        return _tell(
            _with_value(str(written()), error, arguments), f"see {command} --help", getattr(error, "exit_code", 2)
        )
    kind = type(error).__name__
    text = " ".join(str(error).split()) or "no message"
    return _tell(
        f"{kind}: {text}", "this is our fault; please report it with what --debug shows", OUR_FAULT, debug=debug
    )


def _with_value(message: str, error: Exception, arguments: list[str]) -> str:
    """Put what was given for an option into the parser's message, which leaves numbers out of range unnamed."""
    options = getattr(getattr(error, "param", None), "opts", [])
    for place, word in enumerate(arguments):
        option, equals, value = word.partition("=")
        if option in options:
            value = value if equals else next(iter(arguments[place + 1 :]), "")
            return message if repr(value) in message else f"{option} {value}: {message.partition(': ')[2] or message}"
    return message


def _tell(message: str, hint: str, code: int, *, debug: bool = False) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    print(f"error: {one_line(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {one_line(hint)}", file=sys.stderr)
    return code
