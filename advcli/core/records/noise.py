"""Records of searches in noise, one a block of attempts."""

from pydantic import Field

from advcli.core.fields import Number, shown
from advcli.core.records.base import Record, Result


class NoiseHit(Result):
    """One of the most confident pictures of a block of attempts.

    Attributes:
        attempt: its number.
        prediction: class that the network says.
        probability: softmax probability of that class, in fp32, of the very picture that is saved.
        hit: the probability reaches the threshold.
        file: the picture, relative to the run's folder.
    """

    attempt: int
    prediction: str
    probability: Number
    hit: bool
    file: str


class NoiseRecord(Record):
    """One block of pictures of pure noise, or one picture made from noise by climbing, under one model.

    Attributes:
        model: name of the model.
        noise: kind of noise.
        first: number of the block's first attempt.
        attempts: pictures of the block.
        sought: class that the picture was made for; none for pure noise.
        hits: pictures whose highest softmax probability reaches the threshold.
        hits_by_class: class to number of hits; only classes that have some.
        classes: class to number of pictures, hits or not; only classes that have some.
        confidence_histogram: pictures by their highest softmax probability, in twenty bins of 0.05 from 0 to 1.
        kept: the most confident pictures, which are saved.
        probabilities: highest softmax probability of each attempt, in their order, to seven digits.
        predictions: place of each attempt's class among the model's classes.
        max_logits: highest logit of each attempt.
        energies: minus the log-sum-exp of each attempt's logits; low where the network finds something familiar.
        temperature: that the logits are divided by for the calibrated figures; none without labelled images.
        calibrated_hits: pictures whose calibrated probability reaches the threshold.
        calibrated_probabilities: highest softmax probability of each attempt at that temperature.
        forward_passes: of the climb; none for pure noise.
        backward_passes: of the climb; none for pure noise.
    """

    model: str | None = shown("model", "axis")
    noise: str | None = shown("noise", "axis")
    first: int | None = shown("first attempt", "list")
    attempts: int | None = shown("attempts", "count", terminal=True)
    sought: str | None = shown("sought", "label", terminal=True)
    hits: int | None = shown("hits", "count", terminal=True)
    hits_by_class: dict[str, int] = shown("hits by class", "list", default={})
    classes: dict[str, int] = Field(default_factory=dict)
    confidence_histogram: tuple[int, ...] = ()
    kept: tuple[NoiseHit, ...] = ()
    probabilities: tuple[float, ...] = ()
    predictions: tuple[int, ...] = ()
    max_logits: tuple[float, ...] = ()
    energies: tuple[float, ...] = ()
    temperature: Number = shown("temperature", "list")
    calibrated_hits: int | None = shown("calibrated hits", "count")
    calibrated_probabilities: tuple[float, ...] = ()
    forward_passes: int | None = shown("forward passes", "count")
    backward_passes: int | None = shown("backward passes", "count")
