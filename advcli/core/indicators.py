"""Indicators of attack failure: signs that an image withstands because the attack is weak, and what to do.

Source: Pintor et al. 2022, https://arxiv.org/abs/2106.09947, section 3; Carlini et al. 2019,
https://arxiv.org/abs/1902.06705, section 5.
"""

from dataclasses import dataclass

_DISTRUST = "do not trust the gradients: attack with --method square or autoattack"


@dataclass(frozen=True)
class Indicator:
    """One sign.

    Args:
        sign: what was seen, as the end of a sentence about images.
        advice: what to do.
    """

    sign: str
    advice: str


INDICATORS: dict[str, Indicator] = {
    "zero-gradients": Indicator(
        "have a gradient of exactly zero",
        "attack without gradients (--method square), or make the network's steps differentiable",
    ),
    "exploding-gradients": Indicator(
        "have gradients that are not finite, or so steep that one level would change the logits ten times over",
        "attack without gradients (--method square), or smooth the network's input",
    ),
    "unstable-predictions": Indicator(
        "have a loss that jumps under noise of 8/255",
        "average over noise (autoattack:version=rand), or attack without gradients (--method square)",
    ),
    "changing-predictions": Indicator(
        "get other logits at the second look",
        "take the expectation over the network's randomness: --method autoattack:version=rand",
    ),
    "no-progress": Indicator(
        "have a loss that the attack never raised above the clean picture's",
        "use another loss or step size (--method apgd-dlr), or attack without gradients (--method square)",
    ),
    "incomplete-optimization": Indicator(
        "have a loss that still rose by more than 5 % in the last steps", "give more steps or restarts"
    ),
    "lost-in-precision": Indicator(
        "were misclassified in the precision of the search, and not in fp32", "search with --precision fp32"
    ),
    "one-step-wins": Indicator(
        "fell to a single step (fgsm) that this attack should beat", "use smaller steps, more of them, and restarts"
    ),
    "black-box-wins": Indicator("fell to an attack that sees no gradient", _DISTRUST),
    "transfer-wins": Indicator("fell to points made for another network", _DISTRUST),
    "noise-wins": Indicator(
        "fell to random noise of the same size", "the attack does not search; check its settings, or use another"
    ),
    "unbounded-fails": Indicator(
        "withstand even without a bound on the perturbation",
        "the loss or the gradients are broken: attack with --method square or autoattack",
    ),
    "noise-as-good": Indicator(
        "fall to random noise of the same size, almost as many as to the attack",
        "use a stronger attack, or a smaller eps where the images are hard to recognize",
    ),
}
