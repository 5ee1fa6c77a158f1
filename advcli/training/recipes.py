"""The numbers that a training follows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One-cycle SGD with Nesterov momentum.

    Args:
        epochs: passes over the training pictures.
        batch_size: pictures per step.
        peak_rate: the highest learning rate, reached after ``warmup`` of all steps.
        warmup: share of the steps on which the rate climbs from zero; it then falls in a straight line back to zero.
        momentum: Nesterov momentum.
        weight_decay: L2 penalty of every weight.
        label_smoothing: probability that is spread over all classes.

    Source: Smith and Topin 2017, https://arxiv.org/abs/1708.07120 (one cycle).
    """

    epochs: int = 30
    batch_size: int = 256
    peak_rate: float = 0.4
    warmup: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.05

    def rate(self, done: float) -> float:
        """Learning rate after the share ``done`` of all steps, in [0, 1]."""
        if done < self.warmup:
            return self.peak_rate * done / self.warmup
        return self.peak_rate * (1 - done) / (1 - self.warmup)
