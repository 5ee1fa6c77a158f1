"""Attention with its weights in view, however a network computes it.

Networks compute attention with ``nn.MultiheadAttention``, with ``F.scaled_dot_product_attention``, which never shows
its weights, or with a softmax of their own. All three are calls of torch, and are rerouted while the network runs; the
network itself is not touched.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from advcli.core.precision import wide


class Attending(TorchFunctionMode):
    """While entered, attention is computed step by step, and its weights pass through a function.

    Args:
        keep: is given weights (..., L, L) after the softmax, and returns what stands in their place.

    Attributes:
        others: how often attention of another kind was met, such as that of one token to all; it is left as it is.
    """

    def __init__(self, keep: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.others = 0
        self._given = keep

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Reroute attention, and leave everything else as it is; see ``TorchFunctionMode``."""
        del types
        named = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name == "multi_head_attention_forward":
            bound = inspect.signature(func).bind(*args, **named)
            bound.apply_defaults()
            if (found := _multi_head(bound.arguments, self._keep)) is not None:
                return found, None
            self.others += 1
        elif name == "scaled_dot_product_attention" and not named.get("is_causal") and not named.get("enable_gqa"):
            return _dot_product(self._keep, *args, **named)
        found = func(*args, **named)
        return self._keep(found) if name == "softmax" else found

    def _keep(self, weights: Tensor) -> Tensor:
        if weights.ndim >= 3 and weights.shape[-1] == weights.shape[-2] > 1:
            return self._given(weights)
        self.others += weights.ndim >= 4 and weights.shape[-1] > 1
        return weights


def _dot_product(
    keep: Callable[[Tensor], Tensor],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    *,
    scale: float | None = None,
    **_rest: object,
) -> Tensor:
    """Compute attention as documented at ``F.scaled_dot_product_attention``, in evaluation mode.

    Products of many small matrices of odd sizes depend, in their last bits, on where in memory each begins, and so on a
    picture's place in the batch. In float64, rounded once, they do not.
    """
    del dropout_p
    given = query.dtype
    query, key, value = wide(query), wide(key), wide(value)
    products = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if attn_mask is not None:
        products = (
            products.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else products + attn_mask
        )
    weights = products.softmax(-1)
    return (keep(weights) @ value).to(given)


def _multi_head(given: Mapping[str, Any], keep: Callable[[Tensor], Tensor]) -> Tensor | None:
    """Compute self-attention as ``nn.MultiheadAttention`` does; none where it is of another kind."""
    query = given["query"]  # (L, N, E)
    others = ("bias_k", "bias_v", "key_padding_mask", "attn_mask", "static_k", "static_v")
    own = given["key"] is query and given["value"] is query and not given["use_separate_proj_weight"]
    if not own or given["add_zero_attn"] or any(given[name] is not None for name in others) or query.ndim != 3:
        return None
    length, count, width = query.shape
    heads = given["num_heads"]
    projected = F.linear(query, given["in_proj_weight"], given["in_proj_bias"]).chunk(3, -1)
    query, key, value = (part.reshape(length, count, heads, width // heads).permute(1, 2, 0, 3) for part in projected)
    mixed = _dot_product(keep, query, key, value)  # (N, heads, L, E / heads)
    joined = mixed.permute(2, 0, 1, 3).reshape(length, count, width)
    return F.linear(joined, given["out_proj_weight"], given["out_proj_bias"])
