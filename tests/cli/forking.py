"""A process that has imported everything and forks for each call: a real end of the interpreter without the imports.

Reads calls as lines of JSON from standard input, and answers each with a line: exit code, standard output and error.
"""

import json
import os
import signal
import sys
import tempfile
import time


def main() -> None:
    """Answer calls; in the child of a fork, become the program itself."""
    import matplotlib.figure  # noqa: F401
    import torch

    from advcli.cli import commands

    torch.set_num_threads(1)
    for name in commands.names():
        commands.command_class(name)
    sys.stderr.flush()
    for line in sys.stdin:
        call = json.loads(line)
        kept = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115  two, and only until the next call
        child = os.fork()
        if child == 0:
            become(call, [file.fileno() for file in kept])
            return
        if call["signal"]:
            time.sleep(call["after"])
            os.kill(child, call["signal"])  # not waited for yet, so the number is still its own
        _, status = os.waitpid(child, 0)
        texts = []
        for file in kept:
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
        sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(status), *texts]) + "\n")
        sys.stdout.flush()


def become(call: dict, kept: list[int]) -> None:
    """Take the streams, folder and arguments of a call, and run it to the end of this process."""
    from advcli.cli.app import main as entry

    os.chdir(call["cwd"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = os.fdopen(os.dup(0))
    for number, kind in ((1, call["stdout"]), (2, call["stderr"])):
        point(number, kind, kept[number - 1])
    # As a new interpreter makes them: none where the descriptor is closed.
    sys.stdout = None if call["stdout"] == "closed" else os.fdopen(1, "w", closefd=False)
    sys.stderr = None if call["stderr"] == "closed" else os.fdopen(2, "w", 1, closefd=False)
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    sys.argv = ["advcli", *call["arguments"]]
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    entry()


def point(number: int, kind: str, kept: int) -> None:
    """Make a descriptor what a shell makes of it."""
    if kind == "kept":
        os.dup2(kept, number)
    elif kind == "reader gone":
        reader, writer = os.pipe()
        os.dup2(writer, number)
        os.close(reader)
        os.close(writer)
    elif kind == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), number)
    else:
        os.close(number)


if __name__ == "__main__":
    main()
