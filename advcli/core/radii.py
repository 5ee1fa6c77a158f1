"""The radius of a ball: one for all channels, or one for each, as behind a normalization with a std per channel.

``eps`` is (N,), or (N, 3) for red, green and blue. In linf each channel then has its own bound. In l2 and l1 the ball
is the set where sum (delta_c / eps_c)^2 <= 1 or sum |delta_c| / eps_c <= 1: once each channel is stretched as far as it
is narrower than the widest one, that is the usual ball of the widest channel's radius. With one radius for all
channels none of these functions computes anything, so that no bit of a result depends on them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from advcli.core.precision import wide
from advcli.core.shapes import Floats, Radii

Shares = tuple[float, ...]  # of the widest channel's radius, per channel: above 0, and 1 in the widest


def shares_of(std: Sequence[float]) -> Shares | None:
    """Say which share of the widest channel's radius each channel has, where a radius is measured in std.

    Args:
        std: that each channel is divided by, above 0.

    Returns:
        One share per channel; none where they are all alike, and one radius holds in all channels.
    """
    most = max(std)
    return None if min(std) == most else tuple(value / most for value in std)


def radii(eps: Sequence[float], shares: Shares | None, device: torch.device) -> Radii:
    """Make the radii of rows, float32.

    Args:
        eps: of each row, in its widest channel.
        shares: of the channels; none where one radius holds in all of them.
        device: of the result.

    Returns:
        (N,), or (N, 3) with shares.
    """
    if shares is None:
        return torch.tensor(eps, dtype=torch.float32, device=device)
    each = [[radius * share for share in shares] for radius in eps]
    return torch.tensor(each, dtype=torch.float32, device=device)


def largest(eps: Radii) -> Floats:
    """Give the radius (N,) of the widest channel."""
    return eps if eps.ndim == 1 else eps.amax(1)


def column(values: Tensor) -> Tensor:
    """Shape values per row (N,), or per row and channel (N, 3), to go with pixels (N, 3, H, W)."""
    return values.view(*values.shape, *[1] * (4 - values.ndim))


def by_row(share: Floats, eps: Radii) -> Radii:
    """Multiply the radii of each row by a number."""
    return share.view(-1, *[1] * (eps.ndim - 1)) * eps


def stretched(delta: Tensor, eps: Radii) -> Tensor:
    """Stretch the channels of perturbations (N, 3, H, W), so that the ball has the radius ``largest(eps)`` in all."""
    return delta if eps.ndim == 1 else delta / _shares(eps).to(delta.dtype)


def shrunk(delta: Tensor, eps: Radii) -> Tensor:
    """Undo ``stretched``; of a gradient with respect to pixels, make that with respect to stretched ones."""
    return delta if eps.ndim == 1 else delta * _shares(eps).to(delta.dtype)


def least_share(eps: Radii) -> Floats:
    """Give the share (N,) that the narrowest channel has of the widest one's radius, float64."""
    return _shares(eps).flatten(1).amin(1)


def _shares(eps: Radii) -> Tensor:
    """Shares (N, 3, 1, 1) of the channels, float64; 1 in all of them where there is no radius."""
    most = wide(eps).amax(1, keepdim=True)
    return column(torch.where(most > 0, wide(eps) / most, 1.0))
