"""Choices that the command line offers and the rooms below it take, each written once; imports nothing."""

from typing import Literal

Score = Literal["logit", "prob", "logprob", "loss"]
"""What of the output an attribution explains; see ``core/scores.py``."""

TargetRule = Literal["none", "second", "least", "random"]
"""Ways to choose the class that an attack is to reach, beside a rank and naming one; see ``core/targets.py``."""

EpsSpace = Literal["pixel", "normalized"]
"""What a radius is measured in: pixels in [0, 1], or what the network reads behind its normalization."""

Precision = Literal["fp32", "bf16", "fp16"]
"""Number format of the passes that search; what they find is judged in fp32."""

After = Literal["same", "own", "both"]
"""The class that is explained on an adversarial picture: the clean picture's, its own prediction, or one after the
other."""

Reduction = Literal["max", "sum", "l2"]
"""How three channels become one map: largest absolute value, signed sum, Euclidean length."""

LabelRule = Literal["auto", "folder", "predicted"]
"""Where labels come from, beside a CSV file; see ``images/labels.py``."""

Order = Literal["map", "random"]
"""How the pixels of a picture are ranked before a share is kept or removed; see ``masks.py``."""

Fill = Literal["zero", "gaussian", "mean", "blur", "uniform"]
"""What stands in the place of pixels that are not kept; see ``masks.py``."""
NoiseKind = Literal["uniform", "gaussian", "salt", "perlin", "shuffled-image", "constant"]
"""Kinds of pure noise; see ``images/noise.py``."""

Scale = Literal["image", "run"]
"""Whether each map is colored on its own scale, or all maps of a case on one."""

Probe = Literal["blur", "jpeg", "bit-depth", "noise"]
"""Small changes under which the maps of an attacked picture may give it away; see ``metrics/probes.py``."""

Detection = Literal["plain", "adaptive"]
"""What detectors of attacks are held to: the attacks as they are, or attacks that know the detector as well."""

FigureFormat = Literal["svg", "png", "pdf"]
"""Formats of charts; see ``figures/formats.py``."""

Protocol = Literal["seed-003"]
"""Designs of published experiments that ``compare`` repeats; see ``engine/_protocols.py``."""
