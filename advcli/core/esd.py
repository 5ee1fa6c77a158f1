"""One line of records.jsonl of ``advcli esd``: one layer of one checkpoint."""

from advcli.core.fields import Number, shown
from advcli.core.records import Record


class EsdRecord(Record):
    """The spectrum of one layer of one checkpoint.

    Attributes:
        layer: its place among the layers of the checkpoint, 1 for the first.
        name: of the module.
        kind: ``linear``, ``conv1d``, ``conv2d`` or ``conv3d``.
        shape: of the weight.
        epoch: number in the checkpoint's name; none where it has none, or the run is no course.
        fingerprint: SHA-256 of the checkpoint's weights.
        eigenvalues: their number: of a convolution those of each place of the kernel, pooled.
        alpha: exponent of the power law that fits the tail of the spectrum best; none where the fit failed.
        alpha_sigma: its standard error.
        alpha_null: alpha of the same weights shuffled.
        xmin: eigenvalue where the tail begins.
        xmax: largest eigenvalue of the fit.
        D: Kolmogorov-Smirnov distance between the tail and its law.
        spectral_norm: WeightWatcher's: the largest eigenvalue (a square, of a place of the kernel, halved); not what
            spectral normalization bounds.
        log_spectral_norm: its logarithm to base 10.
        matrix_norm: largest singular value of the weight as a matrix (out, rest), which spectral normalization holds
            at 1.
        stable_rank: sum of the eigenvalues over the largest.
        alpha_weighted: alpha times the log spectral norm.
        reading: ``over-trained``, ``well trained``, ``partly trained``, ``under-trained``; ``insufficient`` with fewer
            than 50 eigenvalues or a null alpha in the same range; ``fit failed``.
        warning: WeightWatcher's own, which calls a failed fit over-trained; empty where it has none.
        traps: correlation traps (``--traps``): eigenvalues of the shuffled weights beyond the edge of noise.
        rand_distance: Jensen-Shannon distance between the eigenvalues and those of the shuffled weights (``--traps``).
        weight_mean: mean of the weights.
        weight_std: their standard deviation.
        weight_skewness: their skewness.
        weight_kurtosis: their excess kurtosis, 0 for a normal distribution.
        weight_near_zero: share of weights smaller in size than a hundredth of their standard deviation.
        weight_l2: their Euclidean length.
        weight_distance: their Euclidean distance from the first checkpoint of a course.
        bias_mean: mean of the biases; none for a layer without.
        bias_std: their standard deviation.
        columns: every number of WeightWatcher's row, as it gives it; -1 where a fit failed.
    """

    layer: int | None = shown("layer", "axis")
    name: str | None = shown("name", "axis")
    kind: str | None = shown("kind", "label")
    shape: tuple[int, ...] = shown("shape", "list", default=())
    epoch: int | None = shown("epoch", "hidden")
    fingerprint: str | None = None
    eigenvalues: int | None = shown("eigenvalues", "figure", terminal=True)
    alpha: Number = shown("alpha", "figure", terminal=True)
    alpha_sigma: Number = shown("sigma", "figure", terminal=True)
    alpha_null: Number = shown("null alpha", "figure", terminal=True)
    xmin: Number = shown("xmin", "figure")
    xmax: Number = shown("xmax", "figure")
    D: Number = shown("D", "figure", terminal=True)
    spectral_norm: Number = shown("spectral norm", "figure")
    log_spectral_norm: Number = shown("log spectral norm", "figure")
    matrix_norm: Number = shown("matrix norm", "figure")
    stable_rank: Number = shown("stable rank", "figure")
    alpha_weighted: Number = shown("alpha weighted", "figure")
    reading: str | None = shown("reading", "label", terminal=True)
    warning: str | None = shown("warning", "label")
    traps: int | None = shown("traps", "figure", terminal=True)
    rand_distance: Number = shown("randomized distance", "figure")
    weight_mean: Number = shown("mean of the weights", "figure")
    weight_std: Number = shown("deviation of the weights", "figure")
    weight_skewness: Number = shown("skewness of the weights", "figure")
    weight_kurtosis: Number = shown("kurtosis of the weights", "figure")
    weight_near_zero: Number = shown("weights near zero", "figure")
    weight_l2: Number = shown("length of the weights", "figure")
    weight_distance: Number = shown("distance from the first", "figure")
    bias_mean: Number = shown("mean of the biases", "figure")
    bias_std: Number = shown("deviation of the biases", "figure")
    columns: dict[str, Number] = shown("WeightWatcher's row", "hidden", default={})
