"""What a training is hardened against, as the command line says it, and the objective that follows."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any, Literal, get_args

from advcli.core.norms import BALLS, Norm
from advcli.core.quantities import number
from advcli.errors import UsageError
from advcli.training.adversarial import InnerAttack, Objective, adversarial, fgsm, pgd, trades
from advcli.training.penalties import base_objective, noisy

Method = Literal["pgd", "trades", "fast"]
_HINT = "write --attack pgd:eps=8/255,steps=7, trades:beta=6 or fast:eps=8/255"


@dataclass(frozen=True)
class Inner:
    """Adversarial training, and the attack inside it.

    Args:
        method: ``pgd`` trains on what the attack finds, ``trades`` on both, ``fast`` is pgd with one step.
        norm: of the ball.
        eps: radius of the ball, in pixel units.
        steps: gradients of the attack for every step of the training.
        step_size: length of a step of the attack in pixel units; by default 2.5 * eps / steps, for ``fast`` 1.25 * eps.
        beta: weight of the divergence of ``trades``.
    """

    method: Method
    norm: Norm = "linf"
    eps: float = 8 / 255
    steps: int = 7
    step_size: float | None = None
    beta: float | None = None

    @property
    def attack(self) -> InnerAttack:
        """The attack."""
        if self.method == "fast":
            return partial(fgsm, eps=self.eps)
        return partial(pgd, norm=self.norm, eps=self.eps, steps=self.steps, step_size=self.step_size)

    @property
    def check(self) -> "Inner":
        """The attack that measures robustness on what is not learned from: ten steps of pgd in the same ball."""
        return Inner("pgd", self.norm, self.eps, steps=10)

    @property
    def settings(self) -> dict[str, object]:
        """What it does, without what it has no use for."""
        return {name: value for name, value in asdict(self).items() if value is not None}


_KEYS: Mapping[str, tuple[str, ...]] = {
    "pgd": ("norm", "eps", "steps", "step_size"),
    "trades": ("beta", "norm", "eps", "steps", "step_size"),
    "fast": ("eps",),
}
_BEGINNINGS: Mapping[str, Inner] = {
    "pgd": Inner("pgd"),
    "trades": Inner("trades", steps=10, beta=6.0),
    "fast": Inner("fast", steps=1),
}


@dataclass(frozen=True)
class Hardening:
    """What a training is hardened against.

    Args:
        attack: adversarial training, or none.
        noise: standard deviation of Gaussian noise on the images, in pixel units.
        jacobian: weight of the penalty on the Jacobian of the logits.
        spectral_norm: layers that are normalized: ``all``, ``conv`` or a pattern of names; none for none.
    """

    attack: Inner | None = None
    noise: float = 0.0
    jacobian: float = 0.0
    spectral_norm: str | None = None

    def __post_init__(self) -> None:
        """Refuse numbers without meaning.

        Raises:
            UsageError: a number is negative or not finite, or noise and an attack are both asked for.
        """
        for name in ("noise", "jacobian"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"--{name} {getattr(self, name)} is not a number from 0", f"write --{name} 0.25")
        if self.noise and self.attack:
            raise UsageError("--noise and --attack exclude one another", "leave one out")
        if self.spectral_norm is not None and not self.spectral_norm.strip():
            raise UsageError("--spectral-norm '' is empty", "use conv, all, or a pattern of names such as layer1.*")

    def objective(self, label_smoothing: float) -> Objective:
        """What every step of the training minimizes."""
        base = base_objective(label_smoothing, self.jacobian)
        if self.noise:
            return partial(noisy, sigma=self.noise, base=base)
        if self.attack is None:
            return base
        if self.attack.method == "trades":
            return partial(trades, attack=self.attack.attack, beta=self.attack.beta or 0.0, base=base)
        return partial(adversarial, attack=self.attack.attack, base=base)

    @property
    def settings(self) -> dict[str, object]:
        """By option; none where it is not used."""
        known = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**known, "attack": self.attack.settings if self.attack else None}


def parse_inner(text: str) -> Inner:
    """Read ``--attack``: a method, and settings such as ``pgd:eps=8/255,steps=7``.

    Raises:
        UsageError: the method or a setting is not known, or a value has no meaning.
    """
    name, _, rest = text.strip().partition(":")
    if name not in get_args(Method):
        raise UsageError(f"--attack {text!r} is not known", _HINT)
    told: dict[str, Any] = {}
    for word in filter(None, rest.split(",")):
        key, equals, value = (part.strip() for part in word.partition("="))
        if key not in _KEYS[name] or not equals or key in told:
            raise UsageError(f"--attack {name} has no setting {word!r}, or twice", f"it has {', '.join(_KEYS[name])}")
        told[key] = _READ[key](value, f"--attack {text}: {key} {value!r}")
    return replace(_BEGINNINGS[name], **told)


def _positive(text: str, what: str) -> float:
    return _number(text, what, above=0.0)


def _weight(text: str, what: str) -> float:
    return _number(text, what, above=-1e-300)


def _whole(text: str, what: str) -> int:
    value = _number(text, what, above=0.0)
    if value != int(value):
        raise UsageError(f"{what} is no whole number above 0", _HINT)
    return int(value)


def _norm(text: str, what: str) -> str:
    if text not in BALLS:
        raise UsageError(f"{what} is no norm", f"use {', '.join(BALLS)}")
    return text


def _number(text: str, what: str, above: float) -> float:
    try:
        value = number(text)
    except ValueError:
        raise UsageError(f"{what} is no number", _HINT) from None
    if not value > above:
        raise UsageError(f"{what} is too small", _HINT)
    return value


_READ: Mapping[str, Callable[[str, str], object]] = {
    "norm": _norm,
    "eps": _positive,
    "steps": _whole,
    "step_size": _positive,
    "beta": _weight,
}
