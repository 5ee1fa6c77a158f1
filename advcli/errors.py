"""Every failure that a user can cause, each with its hint and its exit code."""


class AdvcliError(Exception):
    """A failure that is told in two lines: what happened, with the value, and what to do.

    Args:
        message: what happened, with the offending value; one line.
        hint: what to do, in the words that the user typed (``--target``, not ``targeted``).
        exit_code: the status of the process, where it differs from the class's own.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code


class UsageError(AdvcliError):
    """Wrong usage or settings, or a refusal to overwrite (exit 2)."""


class ImageError(AdvcliError):
    """One input that cannot be used; in a run over many it becomes an error record (exit 3)."""

    exit_code = 3


class NoInputError(AdvcliError):
    """No input matched (exit 4)."""

    exit_code = 4


class ModelError(AdvcliError):
    """The model, its file or the device cannot be used (exit 5)."""

    exit_code = 5


class ContractError(AdvcliError):
    """One of our own parts broke its promise, such as an attack that left its ball (exit 70)."""

    exit_code = 70
