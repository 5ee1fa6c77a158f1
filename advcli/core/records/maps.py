"""Records of explanations and of masked images."""

from pydantic import Field

from advcli.core.fields import Number, shown
from advcli.core.records.base import ImageRecord, Top


class MapRecord(ImageRecord):
    """One image explained by one method.

    Attributes:
        method: name of the method.
        settings: its settings, defaults filled in.
        score: ``logit``, ``prob``, ``logprob`` or ``loss``.
        class_rule: what ``--class`` said.
        explained: the class whose score is explained.
        explained_against: the class whose score is taken away from it, with ``--class A,B:difference``; none otherwise.
        layer: the layer that was watched, or the layers whose maps were averaged; none where the method needs none.
        notes: figures of the method about this map, such as ``completeness_gap``.
        box_top10: [left, top, right, bottom], in pixels of the photograph, of the most important tenth of the map.
        box_top: the same of the share that ``--top`` named; none without it.
        share_central: share of the absolute map inside the central box of half the width and height.
        grade: with ``--grade``, how good the map is, measure by measure; a measure that is undefined is none.
        curves: with ``--grade``, the probability of the class at near-equal steps of deletion and insertion, by the
            map's order and a random one, and the similarity to the map of networks with more and more random layers.
    """

    method: str | None = shown("method", "axis")
    settings: dict[str, object] = shown("settings", "axis", default={})
    score: str | None = shown("score", "axis")
    class_rule: str | None = shown("class rule", "axis")
    explained: str | None = shown("explained", "label", terminal=True)
    explained_against: str | None = shown("and not", "label", terminal=True)
    layer: str | None = shown("layer", "list", terminal=True)
    notes: dict[str, Number] = shown("figures", "list", default={})
    box_top10: tuple[int, int, int, int] | None = shown("box of the top tenth", "list")
    box_top: tuple[int, int, int, int] | None = shown("box of the top share", "list")
    share_central: Number = shown("share central", "figure")
    grade: dict[str, Number] = shown("grade", "list", default={})
    curves: dict[str, tuple[Number, ...]] = Field(default_factory=dict)


class MaskRecord(ImageRecord):
    """One image of which some pixels are kept and the others replaced.

    Attributes:
        method: name of the explanation that ranks the pixels.
        settings: its settings, defaults filled in.
        order: ``map``, the most important pixels first, or ``random``, the control.
        fill: what stands in the place of the other pixels.
        keep: share of the pixels that is kept, the first in the order; none in the reverse form.
        remove: share of the pixels that is replaced, the first in the order; none where ``keep`` is given.
        share_kept: of the pixels, as it came out in whole pixels, in [0, 1].
        layer: the layer that was watched; none where the method needs none.
        prediction_after: class of the masked picture, as saved.
        probability_after: softmax probability of ``prediction``, the class before, on the masked picture.
        probability_filled: the same where every pixel is replaced.
        top5_after: the five most probable classes of the masked picture.
        flipped: ``prediction_after`` is another class than ``prediction``.
    """

    method: str | None = shown("method", "axis")
    settings: dict[str, object] = shown("settings", "axis", default={})
    order: str | None = shown("order", "axis")
    fill: str | None = shown("fill", "axis")
    keep: Number = shown("keep", "axis")
    remove: Number = shown("remove", "axis")
    share_kept: Number = shown("share kept", "figure")
    layer: str | None = shown("layer", "list")
    prediction_after: str | None = shown("then for", "class", terminal=True)
    probability_after: Number = shown("of the first class", "figure", terminal=True)
    probability_filled: Number = shown("of it, all replaced", "figure")
    top5_after: tuple[Top, ...] = shown("top 5 then", "list", default=())
    flipped: bool | None = shown("flipped", "flag")
