"""Designs of published experiments, as the options of ``compare`` that stand for them."""

from collections.abc import Mapping
from dataclasses import dataclass

from advcli.core.choices import EpsSpace, Protocol
from advcli.errors import UsageError


@dataclass(frozen=True)
class Design:
    """What a protocol sets.

    Args:
        attack: texts of ``--attack``.
        explain: texts of ``--explain``.
        eps: texts of ``--eps`` for attacks that leave the label.
        eps_targeted: for attacks that aim at a class.
        eps_space: what eps is measured in.
    """

    attack: tuple[str, ...]
    explain: tuple[str, ...]
    eps: tuple[str, ...]
    eps_targeted: tuple[str, ...]
    eps_space: EpsSpace

    def radii(self, *, targeted: bool) -> list[str]:
        """Give the texts of ``--eps``."""
        return list(self.eps_targeted if targeted else self.eps)


DESIGNS: Mapping[Protocol, Design] = {
    # FGSM on a network's normalized input, untargeted at five radii and toward every class at one; SmoothGrad of ten
    # samples. Its own code let hooks of guided backpropagation stay, added gradients up, and neither clamped pixels nor
    # looked at success: here each is done as the text says.
    "seed-003": Design(
        attack=("fgsm",),
        explain=("smoothgrad:samples=10", "grad-cam", "guided-backprop"),
        eps=("0.2", "0.4", "0.6", "0.8", "1"),
        eps_targeted=("0.4",),
        eps_space="normalized",
    )
}


def design_of(name: Protocol, typed: Mapping[str, object]) -> Design:
    """Take a design, and refuse options that it sets itself.

    Args:
        name: of the protocol.
        typed: option to what was typed for it; none where it was not.

    Raises:
        UsageError: an option was typed that the protocol sets.
    """
    for option, value in typed.items():
        if value:
            raise UsageError(f"{option} is set by --protocol {name}", f"leave out {option}, or --protocol")
    return DESIGNS[name]
