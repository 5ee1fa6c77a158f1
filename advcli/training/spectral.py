"""Operator norms of layers: what PyTorch's spectral normalization bounds, and what it stands for.

``torch.nn.utils.parametrizations.spectral_norm`` divides a convolution's weight by the largest singular value of the
weight reshaped to (out, in * k * k). The convolution as a linear map of whole images has another norm, which can be
up to k times as large. A batch norm behind it rescales both freely, so that a network of normalized layers is not
1-Lipschitz.
"""

import copy
import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

from advcli.errors import UsageError
from advcli.models.folding import fold
from advcli.training.adversarial import evaluating

Layer = nn.Conv2d | nn.Linear
_ENTRIES = 2**21  # complex numbers of a transfer function that are held at once


@dataclass(frozen=True)
class LayerNorms:
    """Operator norms of one convolution or linear layer.

    Args:
        layer: its name in the network.
        size: (height, width) of what it reads, in pixels; (1, 1) for a linear layer.
        estimate: largest singular value of the weight reshaped to (out, in * k * k), which PyTorch normalizes.
        exact: operator norm of the layer on images of that size, with circular borders.
        estimate_folded: the same with the batch norm behind the layer folded in; none where none can be.
        exact_folded: likewise.
    """

    layer: str
    size: tuple[int, int]
    estimate: float
    exact: float
    estimate_folded: float | None
    exact_folded: float | None


def largest_singular_value(matrices: Tensor) -> float:
    """Largest singular value of any of several matrices (..., M, N), real or complex, computed in double precision."""
    wide = matrices.to(torch.complex128 if matrices.is_complex() else torch.float64)
    wide = wide if wide.shape[-2] <= wide.shape[-1] else wide.mH
    # The smaller Gram matrix costs a fraction of a singular value decomposition, and its largest value is as exact.
    return math.sqrt(max(0.0, float(torch.linalg.eigvalsh(wide @ wide.mH).max())))


def reshaped_norm(weight: Tensor) -> float:
    """Largest singular value of a weight (out, ...) as a matrix with ``out`` rows: what PyTorch normalizes."""
    return largest_singular_value(weight.detach().flatten(1))


def convolution_norm(
    weight: Tensor,
    size: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> float:
    """Operator norm of a convolution with circular borders: the most by which it lengthens an image.

    In the frequency domain a convolution is one small matrix (out, in) per frequency. A stride adds up the
    frequencies that it cannot tell apart, which puts their matrices side by side. With zeros at the borders instead,
    the norm is at most that on an unbounded image, which the circular one nears as images grow.

    Args:
        weight: (out, in / groups, kh, kw).
        size: (height, width) of the input, in pixels, multiples of the stride.
        stride: of the convolution, (down, right).
        dilation: distance between the kernel's values, (down, right).
        groups: blocks of channels that do not see each other.

    Raises:
        UsageError: the size is no multiple of the stride.

    Source: Sedghi, Gupta and Long 2019, https://arxiv.org/abs/1805.10408, theorem 6; the stride is ours.
    """
    height, width = size
    if height % stride[0] or width % stride[1]:
        raise UsageError(f"{height} x {width} pixels are no multiple of the stride {stride}", "choose another size")
    coarse = (height // stride[0], width // stride[1])
    # A real kernel has the same norm at opposite frequencies.
    frequencies = torch.cartesian_prod(torch.arange(coarse[0]), torch.arange(coarse[1] // 2 + 1))
    parts = max(1, len(frequencies) * math.prod(stride) * weight.shape[0] * weight.shape[1] // (groups * _ENTRIES))
    largest = 0.0
    for block in weight.detach().to(torch.float64).chunk(groups):  # (out / groups, in / groups, kh, kw)
        for some in frequencies.chunk(parts):
            largest = max(largest, largest_singular_value(_transfer(block, size, coarse, stride, dilation, some)))
    return largest


def _transfer(
    weight: Tensor,
    size: tuple[int, int],
    coarse: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    frequencies: Tensor,
) -> Tensor:
    """Matrices (F, out, in * aliases) of a convolution at coarse frequencies (F, 2)."""
    waves = []
    for axis in (0, 1):
        alias = torch.arange(stride[axis]) * coarse[axis]
        fine = frequencies[:, axis, None, None] + alias[:, None]  # (F, aliases, 1)
        place = torch.arange(weight.shape[2 + axis]) * dilation[axis]
        # Integers are reduced before they become an angle, which keeps all digits.
        angle = (fine * place % size[axis]) * (-2 * math.pi / size[axis])
        waves.append(torch.polar(torch.ones((), dtype=torch.float64), angle.to(torch.float64)))
    matrices = torch.einsum("oikl,fak,fbl->foiab", weight.to(torch.complex128), *waves)
    return matrices.flatten(2) / math.sqrt(math.prod(stride))


def layer_norms(network: nn.Module, probe: Tensor) -> list[LayerNorms]:
    """Measure every convolution and linear layer of a network.

    Args:
        network: normalized pixels to logits; left as it is.
        probe: (N, 3, H, W) normalized pixels, which say how large the images are that each layer reads.

    Returns:
        In the order in which the network uses them. A convolution whose input is no multiple of its stride is
        measured on the next larger multiple.
    """
    with evaluating(network), torch.no_grad():
        bare = without_parametrizations(network).eval()
        sizes = _input_sizes(bare, probe)
        folded, _ = fold(bare, probe)
    plain, together = dict(bare.named_modules()), dict(folded.named_modules())
    found = []
    for name, size in sizes.items():
        layer, other = plain[name], together.get(name)
        is_folded = isinstance(other, nn.Conv2d | nn.Linear) and not torch.equal(_weight(other), _weight(layer))
        together_norms = _norms(other, size) if is_folded else (None, None)
        found.append(LayerNorms(name, size, *_norms(layer, size), *together_norms))
    return found


def _norms(layer: nn.Module | None, size: tuple[int, int]) -> tuple[float, float]:
    """Estimate and exact norm of a layer; a linear layer has one norm."""
    estimate = reshaped_norm(_weight(layer))
    return estimate, convolution_layer_norm(layer, size) if isinstance(layer, nn.Conv2d) else estimate


def convolution_layer_norm(layer: nn.Conv2d, size: tuple[int, int]) -> float:
    """Operator norm of a convolution on images of some size, rounded up to a multiple of its stride."""
    stride, dilation = (layer.stride[0], layer.stride[1]), (layer.dilation[0], layer.dilation[1])
    whole = (-(-size[0] // stride[0]) * stride[0], -(-size[1] // stride[1]) * stride[1])
    return convolution_norm(layer.weight, whole, stride=stride, dilation=dilation, groups=layer.groups)


def add_spectral_norm(network: nn.Module, which: str = "conv") -> tuple[str, ...]:
    """Normalize layers in place, so that each reshaped weight has norm 1, by one power iteration a step.

    Args:
        network: to be trained.
        which: ``conv`` for every convolution, ``all`` for linear layers too, or a pattern of names such as
            ``layer1.*``.

    Returns:
        Names of the layers that are normalized now.

    Raises:
        UsageError: no layer matches.

    Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957.
    """
    layers = {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    chosen = {
        name: module
        for name, module in layers.items()
        if which == "all" or (isinstance(module, nn.Conv2d) if which == "conv" else fnmatchcase(name, which))
    }
    if not chosen:
        raise UsageError(f"--spectral-norm {which!r} matches no layer", f"layers are {', '.join(layers)}")
    for module in chosen.values():
        parametrizations.spectral_norm(module)
        (made,) = cast("nn.ModuleDict", module.parametrizations)["weight"].children()
        made.__class__ = _Wide
    return tuple(chosen)


class _Wide(_SpectralNorm):
    """Spectral normalization in float32, also where the network computes in bfloat16 with its three digits."""

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return super().forward(weight)


def without_parametrizations(network: nn.Module) -> nn.Module:
    """Copy a network, with the weights that its parametrizations make as plain weights: a file of it is loaded by all.

    Args:
        network: left as it is; in evaluation mode no power iteration is made on the way.
    """
    bare = copy.deepcopy(network)
    for module in list(bare.modules()):
        if not parametrize.is_parametrized(module):
            continue
        # Not by remove_parametrizations: it takes the attribute from the class, which the copy shares with the network.
        values = {
            name: getattr(module, name).detach().clone() for name in cast("nn.ModuleDict", module.parametrizations)
        }
        module.__class__ = parametrize.type_before_parametrizations(module)
        del module.parametrizations
        for name, value in values.items():
            module.register_parameter(name, nn.Parameter(value))
    return bare


def _weight(layer: nn.Module | None) -> Tensor:
    weight = getattr(layer, "weight", None)
    assert isinstance(weight, Tensor)
    return weight


def _input_sizes(network: nn.Module, probe: Tensor) -> dict[str, tuple[int, int]]:
    """Size of what each convolution and linear layer reads, in the order of their first use."""
    sizes: dict[str, tuple[int, int]] = {}
    layers = {module: name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, nn.Conv2d):
            sizes.setdefault(layers[module], (inputs[0].shape[-2], inputs[0].shape[-1]))
        elif isinstance(module, nn.Linear):
            sizes.setdefault(layers[module], (1, 1))

    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        network(probe)
    finally:
        for handle in handles:
            handle.remove()
    return sizes
