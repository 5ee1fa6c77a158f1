"""ReLUs with another derivative, wherever in a network's code they are called; the network itself is not touched.

Libraries put hooks on ``nn.ReLU`` modules. That misses ``F.relu`` and ``Tensor.relu`` (the plain gradient comes out,
and nothing says so), clamps too much where a ReLU's input is read elsewhere too, and fails on ReLUs in place. Here the
call itself is rerouted, so modules, functions, methods, in-place calls and a module that is called often are alike.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from advcli.models.classifier import Classifier
from advcli.models.probing import probe_pixels

Rule = Literal["guided", "deconvolution", "softplus"]
SHARPNESS = 10.0  # of the softplus whose second derivative stands in for that of a ReLU
_OTHERS = frozenset({
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "leaky_relu", "logsigmoid", "mish", "prelu",
    "rrelu", "selu", "sigmoid", "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
})  # fmt: skip


class Rectifying(TorchFunctionMode):
    """While entered, every ReLU and ReLU6 that torch computes in Python code has the backward pass of a rule.

    With input z and gradient g at the output, a ReLU passes on g where z > 0 (a ReLU6: where 0 < z < 6). ``guided``
    passes on max(g, 0) there; ``deconvolution`` passes on max(g, 0) everywhere; ``softplus`` passes on g, as it is
    used to, and has the second derivative of a softplus: that of a ReLU is zero. The forward pass is the same.

    Args:
        rule: of the backward pass.

    Attributes:
        rerouted: ReLUs that were called.
        others: how often other nonlinearities were called, by name: those keep their own derivative.

    Source: Dombrowski et al. 2019, https://arxiv.org/abs/1906.07983, section 2 (``softplus``, which they put in the
    place of ReLU altogether; here the network and its gradients stay what they are).
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule
        self.rerouted = 0
        self.others: Counter[str] = Counter()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Reroute a ReLU, and leave everything else as it is; see ``TorchFunctionMode``."""
        del types
        named = dict(kwargs or {})
        name = getattr(func, "__name__", "").partition(".")[0]  # an exported network calls relu.default
        plain = name.removesuffix("_")
        if plain in _OTHERS:
            self.others[plain] += 1
        ceiling = _ceiling(plain, args, named)
        if ceiling is None:
            return func(*args, **named)
        self.rerouted += 1
        if self.rule == "guided":  # the ReLU's own derivative, of the positive part of all that comes back to it
            rectified = func(*args, **named)
            if rectified.requires_grad:
                rectified.register_hook(lambda gradient: gradient.clamp(min=0))
            return rectified
        value = named["input"] if "input" in named else args[0]
        in_place = name.endswith("_") or named.get("inplace") or any(one is True for one in args[1:])
        if self.rule == "softplus":  # which keeps its input, so that a call in place must not overwrite it
            rectified = _Smooth.apply(value.clone() if in_place else value, ceiling)
        else:
            rectified = _Deconvolved.apply(value, ceiling)
        return value.copy_(rectified) if in_place else rectified


def rectifying(rule: Rule) -> Callable[[object], AbstractContextManager[Rectifying]]:
    """Give what a ``View`` takes as ``around``: each time it is entered, a new ``Rectifying``."""
    return lambda _kept: Rectifying(rule)


def no_relu(classifier: Classifier) -> str | None:
    """Say why rerouting the ReLUs of a network does nothing; none where it has some. The network is run once."""
    with torch.no_grad(), Rectifying("guided") as mode:
        classifier.network(probe_pixels(classifier))
    if mode.rerouted:
        return None
    own = f" (it has {', '.join(sorted(mode.others))})" if mode.others else ""
    return (
        f"{classifier.card.name} has no relus that can be rerouted{own}, the map would be the plain gradient: "
        "use a method that needs none, such as gradient or smoothgrad"
    )


class _Deconvolved(torch.autograd.Function):
    """max(z, 0), at most a ceiling, that passes back what is positive, wherever z lies."""

    @staticmethod
    def forward(_ctx: Any, value: Tensor, ceiling: float) -> Tensor:
        """Rectify; the result is a new tensor, also for a call in place, which copies it back."""
        return value.clamp(0, ceiling)

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Pass on what is positive."""
        return gradient.clamp(min=0), None


class _Smooth(torch.autograd.Function):
    """max(z, 0), at most a ceiling, with its own derivative, and with a softplus's second derivative."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, ceiling: float) -> Tensor:
        """Rectify."""
        ctx.save_for_backward(value)
        ctx.ceiling = ceiling
        return value.clamp(0, ceiling)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Pass on the gradient where the ReLU is active, in a way that can be differentiated."""
        (value,) = ctx.saved_tensors
        return gradient * _Active.apply(value, ctx.ceiling), None


class _Active(torch.autograd.Function):
    """1 where a ReLU is active and 0 elsewhere, with the derivative of a sigmoid at each of its ends."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, ceiling: float) -> Tensor:
        """Mark the active values."""
        ctx.save_for_backward(value)
        ctx.ceiling = ceiling
        return ((value > 0) & (value < ceiling)).to(value.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Differentiate the sigmoids; the one at an infinite ceiling is flat."""
        (value,) = ctx.saved_tensors
        begin = torch.sigmoid(SHARPNESS * value)
        slope = SHARPNESS * begin * (1 - begin)
        if ctx.ceiling < float("inf"):
            end = torch.sigmoid(SHARPNESS * (value - ctx.ceiling))
            slope = slope - SHARPNESS * end * (1 - end)
        return gradient * slope, None


def _ceiling(name: str, args: Sequence[Any], named: Mapping[str, Any]) -> float | None:
    """Where a rectifier ends; none for another function."""
    if name == "relu":
        return float("inf")
    if name == "relu6":
        return 6.0
    if name == "hardtanh":  # nn.ReLU6 is one from 0 to 6
        low, high = (*args[1:3], named.get("min_val", -1.0), named.get("max_val", 1.0))[:2]
        return float(high) if low == 0 else None
    return None
