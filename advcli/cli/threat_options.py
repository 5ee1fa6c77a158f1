"""What attacks may do, as options: a group that the commands share that attack."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advcli.cli import method_options as opt
from advcli.cli.parsing import quantities, several
from advcli.registry import Method, quantity

if TYPE_CHECKING:
    from advcli.search.config import AttackConfig


@dataclass(frozen=True)
class ThreatOptions:
    """Options of every command that attacks; the fields are typer parameters."""

    eps: opt.Eps = None
    min_eps: opt.MinEps = None
    eps_space: opt.Space = "pixel"
    target: opt.Target = None
    early_exit: opt.EarlyExit = True
    queries: opt.Queries = None

    @property
    def targeted(self) -> bool:
        """Whether a class is to be reached."""
        return any(word != "none" for word in several(self.target, "--target"))

    def config(self, methods: Sequence[Method], **more: Any) -> "AttackConfig":
        """Turn texts into what is attempted on every image.

        Args:
            methods: attacks with their settings.
            more: fields of the configuration that are options of one command alone.

        Raises:
            UsageError: a text has no meaning, or the options contradict one another.
        """
        sizes = quantities(self.eps, "--eps")
        resolution = None if self.min_eps is None else quantity(self.min_eps, "--min-eps")
        words = several(self.target, "--target")

        from advcli.search.config import AttackConfig
        from advcli.search.wanted import Wanted

        return AttackConfig(
            tuple(methods),
            sizes,
            Wanted.of(words),
            early_exit=self.early_exit,
            queries=self.queries,
            min_eps=resolution,
            eps_space=self.eps_space,
            **more,
        )
