"""Batch norms folded into the convolutions before them: fewer passes over memory, the same function.

Explanations use the folded network too. In float32 a ReLU whose input is nearly zero falls on either side, which moves
a map visibly; folding does not make that more frequent. Maps of the gradient apart from float64 by more than a
thousandth of their largest value: ResNet-20 on 508 CIFAR-10 test images, unfolded 14, unfolded and channels-last 15,
folded 12; ResNet-18 with random weights on 15 photographs 8, 8 and 7.
"""

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

AGREEMENT = 1e-4  # of the largest logit; what is measured on real networks is a hundred times less


class Folded(nn.Identity):
    """What is left of a batch norm that the layer before it now does as well."""


def fold(network: nn.Module, probe: Tensor) -> tuple[nn.Module, int]:
    """Fold every batch norm that follows a convolution or a linear layer and nothing else reads the layer between.

    Tracing only finds the pairs. The network stays a plain module with its own forward and its own names (a folded
    norm becomes an identity), so that layers can still be watched by name.

    Args:
        network: in evaluation mode; left as it is.
        probe: normalized pixels (N, 3, H, W) to check the folded network with.

    Returns:
        A folded copy and the number of folded norms; the network itself and 0 where it cannot be traced or copied, has
        nothing to fold, or where the copy does not agree with it.
    """
    pairs = _pairs(network)
    if not pairs:
        return network, 0
    with torch.no_grad():
        expected = network(probe)
        try:
            folded = _folded(network, pairs)
            found = folded(probe)
        except Exception:  # noqa: BLE001  weight norms' hooks and norms over tokens break the copy, each in its own way
            return network, 0
    if not torch.allclose(found, expected, rtol=0, atol=AGREEMENT * float(expected.abs().max())):
        return network, 0
    return folded, len(pairs)


def _folded(network: nn.Module, pairs: list[tuple[str, str]]) -> nn.Module:
    folded = copy.deepcopy(network)
    for layer_name, norm_name in pairs:
        layer, norm = folded.get_submodule(layer_name), folded.get_submodule(norm_name)
        fuse: Any = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
        _put(folded, layer_name, fuse(layer, norm))
        _put(folded, norm_name, Folded().eval())
    return folded


def _pairs(network: nn.Module) -> list[tuple[str, str]]:
    try:
        graph = fx.symbolic_trace(network).graph
    except Exception:  # noqa: BLE001  tracing runs the network's own code on stand-ins, which may fail in any way
        return []
    modules = dict(network.named_modules())
    calls: dict[str, int] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            calls[str(node.target)] = calls.get(str(node.target), 0) + 1
    found = []
    for node in graph.nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        layer, norm = str(before.target), str(node.target)
        if calls[layer] == calls[norm] == 1 and _foldable(modules[layer], modules[norm]):
            found.append((layer, norm))
    return found


def _foldable(layer: nn.Module, norm: nn.Module) -> bool:
    if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) or norm.running_var is None:
        return False
    return type(layer) is nn.Conv2d or (type(layer) is nn.Linear and isinstance(norm, nn.BatchNorm1d))


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
