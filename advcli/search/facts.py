"""What a record says of the point that an attack found: verdicts, sizes and costs, of the float point and as saved."""

from typing import Any

import numpy as np
import torch

from advcli.core.goals import lead
from advcli.core.grid import SLACK
from advcli.core.precision import array_of, exact
from advcli.metrics.fidelity import psnr, ssim
from advcli.search.outcome import Outcome


def sizes(delta: np.ndarray, ending: str = "") -> dict[str, float | int]:
    """Measure a perturbation (3, H, W) in every norm, in pixel units; l0 counts values, l0_pixels pixels.

    Args:
        delta: change of the pixels.
        ending: of the names, such as ``_as_saved``.
    """
    size = np.abs(delta.astype(np.float64))
    changed = size > SLACK
    return {
        f"linf{ending}": float(size.max(initial=0.0)),
        f"l2{ending}": float(np.sqrt(np.square(size).sum())),
        f"l1{ending}": float(size.sum()),
        f"l0{ending}": int(changed.sum()),
        f"l0_pixels{ending}": int(changed.any(0).sum()),
    }


def outcome_facts(image: torch.Tensor, target: int, outcome: Outcome) -> dict[str, Any]:
    """Say what an attack's record says of one outcome.

    Args:
        image: (3, H, W), the clean pixels.
        target: class to reach, or -1.
        outcome: of the attack.
    """
    clean, pixels, saved = (array_of(tensor) for tensor in (image, outcome.pixels, outcome.saved))
    return {
        **_verdicts(target, outcome),
        "forward_passes": outcome.forward_passes,
        "backward_passes": outcome.backward_passes,
        "verification_passes": outcome.verification_passes,
        **sizes(pixels - clean),
        **sizes(saved - clean, "_as_saved"),
        "ssim": ssim(clean, pixels),
        "psnr": psnr(clean, pixels),
    }


def _verdicts(target: int, outcome: Outcome) -> dict[str, bool | None]:
    return {
        "misclassified": outcome.misclassified,
        "misclassified_as_saved": outcome.misclassified_as_saved,
        "target_reached": lead(exact(outcome.logits), target) > 0 if target >= 0 else None,
        "target_reached_as_saved": outcome.reached_as_saved if target >= 0 else None,
    }
