"""Records of attacks."""

from advcli.core.fields import Number, shown
from advcli.core.records.base import ImageRecord, Top


class AttackRecord(ImageRecord):
    """One image under one attack case.

    Attributes:
        method: name of the attack.
        settings: its settings, defaults filled in.
        norm: in which eps is measured; none where the attack has no ball.
        eps: radius of the ball in that norm, in pixel units ([0, 1]; for l0 a count); none where it is of no use.
            Where it differs between the channels, that of the widest.
        eps_normalized: the same behind the division by the model's std, with ``--eps-space normalized``.
        eps_channels: the radius in red, green and blue in pixel units, with ``--eps-space normalized``: linf bounds the
            changes d by it, l2 the root of the sum of (d / radius)^2 by 1, l1 the sum of abs(d) / radius by 1.
        target_rule: what ``--target`` said; for ``all`` one of the classes, for a file its name and a digest.
        target: class to reach; none for an untargeted attack.
        adversarial_prediction: class of the adversarial picture as saved.
        adversarial_probability: softmax probability of that class.
        adversarial_top5: the five most probable classes of the saved picture.
        adversarial_margin: as ``margin``, of the saved picture.
        misclassified: the float pixels that the attack found are not classified as ``label``; comparable with the
            literature.
        misclassified_as_saved: the PNG, read back, is not classified as ``label``, by more than rounding errors of the
            network.
        target_reached: the float pixels are classified as ``target``; none for an untargeted attack.
        target_reached_as_saved: the same of the PNG, by more than rounding errors.
        implied: not computed, because a smaller eps was enough; the point found there stands.
        stage: member of a composed attack that found the point; none for a plain attack.
        restart: number of the restart that found the point, from 0.
        indicators: with ``--diagnose``, and of ``autoattack``: signs that the image withstood because the attack is
            weak, see ``core/indicators.py``; empty where it did not withstand.
        diagnosis: the figures that they rest on, and ``passes``, what they cost; empty without a diagnosis.
        forward_passes: forward passes of the search.
        backward_passes: backward passes of the search.
        verification_passes: forward passes that checked what the search found: in fp32, and as eight-bit pictures.
        linf: largest change of a value of the float point, in [0, 1].
        l2: Euclidean length of its change, in pixel units.
        l1: sum of its absolute changes, in pixel units.
        l0: number of values that it changes.
        l0_pixels: number of pixels that it changes.
        ssim: structural similarity of image and float point, 1 where they are equal; none below 7 x 7 pixels.
        psnr: peak signal-to-noise ratio of the float point in dB; none where nothing changed.
        linf_as_saved: the same of the saved picture, as are those that follow.
    """

    method: str | None = shown("attack", "axis")
    settings: dict[str, object] = shown("settings", "axis", default={})
    norm: str | None = shown("norm", "axis")
    eps: Number = shown("eps", "axis")
    eps_normalized: Number = shown("eps, normalized", "figure")
    eps_channels: tuple[float, ...] = shown("eps of red, green, blue", "list", default=())
    target_rule: str | None = shown("target rule", "axis")
    target: str | None = shown("target", "label", terminal=True)
    adversarial_prediction: str | None = shown("then for", "class", terminal=True)
    adversarial_probability: Number = shown("probability then", "probability", terminal=True)
    adversarial_top5: tuple[Top, ...] = shown("top 5 then", "list", default=())
    adversarial_margin: Number = shown("margin then", "figure")
    misclassified: bool | None = shown("misclassified", "flag")
    misclassified_as_saved: bool | None = shown("misclassified as saved", "flag")
    target_reached: bool | None = shown("target reached", "flag")
    target_reached_as_saved: bool | None = shown("target reached as saved", "flag")
    implied: bool | None = shown("implied", "flag")
    stage: str | None = shown("stage", "list")
    restart: int | None = None
    indicators: tuple[str, ...] = shown("signs of a weak attack", "list", terminal=True, default=())
    diagnosis: dict[str, Number] = shown("diagnosis", "list", default={})
    forward_passes: int | None = shown("forward passes", "figure")
    backward_passes: int | None = shown("backward passes", "figure")
    verification_passes: int | None = shown("verification passes", "figure")
    linf: Number = shown("linf", "figure", unit="1/255", terminal=True)
    l2: Number = shown("l2", "figure", terminal=True)
    l1: Number = shown("l1", "figure")
    l0: int | None = shown("l0", "figure")
    l0_pixels: int | None = shown("l0 pixels", "figure")
    ssim: Number = shown("SSIM", "figure")
    psnr: Number = shown("PSNR", "figure", unit="dB")
    linf_as_saved: Number = shown("linf as saved", "figure", unit="1/255")
    l2_as_saved: Number = shown("l2 as saved", "figure")
    l1_as_saved: Number = shown("l1 as saved", "figure")
    l0_as_saved: int | None = shown("l0 as saved", "figure")
    l0_pixels_as_saved: int | None = shown("l0 pixels as saved", "figure")
