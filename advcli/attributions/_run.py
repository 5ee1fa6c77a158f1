"""Explain a batch by several methods: what they can share is computed once, in memory that does not grow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from advcli.attributions._noise import SampleNoise
from advcli.core.attribution import Traits
from advcli.core.scores import Target
from advcli.core.shapes import Pixels
from advcli.errors import ContractError
from advcli.models.classifier import Classifier
from advcli.models.layers import Layer, pick_layers
from advcli.models.view import View
from advcli.registry import Method

_FLAT = 1e-3  # derivative of a probability in its logit, p (1 - p)


@dataclass(frozen=True)
class Request:
    """One way to explain every image of a batch.

    Args:
        method: attribution with its settings.
        target: class and score to explain for each image, (N,).
        layers: for a method that watches one; by default the deepest that is still a map, found by a probing pass in
            every call (``models.layers.pick_layers`` finds it once). The maps of several are averaged, each divided by
            its largest absolute value first.
    """

    method: Method
    target: Target
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """What one request made of a batch.

    Args:
        maps: float32 (N, H, W), signed, not scaled.
        layers: that were watched, if any.
        notes: figures of the method, float64 (N,) each; of several layers, their mean.
        flags: of each image: those of the method, and ``blank`` (no evidence at all), ``underflow`` (there is some, but
            float32 cannot hold it), ``not-finite`` (values that were not are 0 in the map), ``saturated`` (the
            probability that is explained hardly depends on the logits here).
    """

    maps: np.ndarray
    layers: tuple[Layer, ...]
    notes: Mapping[str, np.ndarray]
    flags: tuple[tuple[str, ...], ...]


def explain_batch(
    classifier: Classifier,
    pixels: Pixels,
    requests: Sequence[Request],
    *,
    seed: int,
    digests: Sequence[str],
    batch_size: int | None = None,
) -> list[Explanation]:
    """Explain a batch of images in every way that is requested.

    Requests for one target share their passes: gradient, input x gradient and Grad-CAM together cost one forward and
    one backward pass. A method that keeps fp32 (``Traits.fp32``) shares the passes of those that do too.

    Args:
        classifier: what to explain.
        pixels: (N, 3, H, W) in [0, 1], on the classifier's device.
        requests: in any order.
        seed: of the run.
        digests: SHA-256 of each image's content; with the seed, the method's name and its occurrence it keys the
            random numbers, so that every class and score of an image sees the same noise.
        batch_size: images worked on together, by default as many as suit the network; changes memory, not a result.

    Returns:
        One explanation per request, in their order.

    Raises:
        ContractError: the pixels are not of the classifier's input size, a method's maps not (N, H, W), or its notes
            or flags not (N,).
        UsageError: the network has no layer for a method that watches one; see ``Method.refusal``.
    """
    if tuple(pixels.shape[1:]) != (3, *classifier.card.preprocessing.size):
        raise ContractError(f"pixels {tuple(pixels.shape)} are not of the size that {classifier.card.name} reads")
    watching = [_with_layers(classifier, request) for request in requests]
    noise = [_noise(request.method, seed, digests) for request in requests]
    size = batch_size or classifier.batch_size
    found: list[list[Explanation]] = [[] for _ in requests]
    for start in range(0, len(pixels), size):
        rows = slice(start, start + size)
        for own, places in _by_precision(classifier, requests):
            view = _shared_view(own, pixels[rows], [watching[place] for place in places])
            for place in _by_target(requests, places):
                request = replace(watching[place], target=requests[place].target[rows])
                found[place].append(_explained(view, request, noise[place][rows]))
            view.close()
    return [_joined(parts) for parts in found]


def traits_of(method: Method) -> Traits:
    """Read what an attribution declares of itself.

    Raises:
        ContractError: its module declares nothing.
    """
    traits = method.declared("TRAITS")
    if not isinstance(traits, Traits):
        raise ContractError(f"the module of {method.name} has no TRAITS; see attributions/__init__.py")
    return traits


def kept_in_fp32(methods: Sequence[Method], precision: str) -> list[str]:
    """Say which methods do not work in the precision of a run; nothing where all do.

    Args:
        methods: of the run; a name is told once.
        precision: of the run.
    """
    names = dict.fromkeys(method.name for method in methods if traits_of(method).fp32)
    if precision == "fp32" or not names:
        return []
    keep = "keeps fp32: its map" if len(names) == 1 else "keep fp32: their maps"
    return [f"{', '.join(names)} {keep} would rank the pixels otherwise in {precision}"]


def _with_layers(classifier: Classifier, request: Request) -> Request:
    if not request.method.asks_for("layer"):
        return replace(request, layers=())
    return replace(request, layers=request.layers or pick_layers(classifier, None))


def _noise(method: Method, seed: int, digests: Sequence[str]) -> SampleNoise:
    uses = [str(method.occurrence)] if method.occurrence > 1 else []
    return SampleNoise.of(seed, digests, method.name, *uses)


def _shared_view(classifier: Classifier, pixels: Pixels, requests: Sequence[Request]) -> View:
    watch = [layer.name for request in requests for layer in request.layers]
    return View(classifier, pixels, watch=watch, gradient=any(traits_of(one.method).gradient for one in requests))


def _by_precision(classifier: Classifier, requests: Sequence[Request]) -> list[tuple[Classifier, list[int]]]:
    """Divide the requests into those that work in the classifier's precision and those that keep fp32."""
    groups: list[tuple[Classifier, list[int]]] = [(classifier, []), (classifier.in_fp32(), [])]
    for place, request in enumerate(requests):
        groups[classifier.precision != "fp32" and traits_of(request.method).fp32][1].append(place)
    return [group for group in groups if group[1]]


def _by_target(requests: Sequence[Request], places: Sequence[int]) -> list[int]:
    """Order requests so that those for one target stand together: a view keeps one cotangent's gradients."""
    left, order = list(places), []
    while left:
        same = [place for place in left if requests[place].target.same_as(requests[left[0]].target)]
        order += same
        left = [place for place in left if place not in same]
    return order


def _explained(view: View, request: Request, noise: SampleNoise) -> Explanation:
    found = [_made(view, request, noise, layer) for layer in request.layers or (None,)]
    exact = found[0].maps if len(found) == 1 else np.mean([_to_one(one.maps) for one in found], axis=0)
    notes = {name: torch.stack([one.notes[name] for one in found]).mean(0) for name in found[0].notes}
    marks = {name: torch.stack([one.flags[name] for one in found]).any(0) for name in found[0].flags}
    marks["saturated"] = _saturated(view, request)
    finite = np.where(np.isfinite(exact), exact, 0.0)
    with np.errstate(under="ignore", over="ignore"):
        rounded = finite.astype(np.float32)
    usable = np.where(np.isfinite(rounded), rounded, np.float32(0))
    flags = tuple(
        (*_flags(*row), *(name for name, mark in marks.items() if mark[place]))
        for place, row in enumerate(zip(exact, finite, rounded, strict=True))
    )
    return Explanation(usable, request.layers, {name: note.numpy() for name, note in notes.items()}, flags)


@dataclass(frozen=True)
class _Made:
    """What a method gave for one layer, or for none: maps (N, H, W), notes and flags (N,), all on the CPU."""

    maps: np.ndarray
    notes: Mapping[str, Tensor]
    flags: Mapping[str, Tensor]


def _made(view: View, request: Request, noise: SampleNoise, layer: Layer | None) -> _Made:
    method, notes, flags = request.method, dict[str, Tensor](), dict[str, Tensor]()
    offered = {"layer": layer, "noise": noise, "notes": notes, "flags": flags}
    filled = {name: value for name, value in offered.items() if method.asks_for(name)}
    maps: Tensor = method.build()(view, request.target, **filled)
    images = (len(view.pixels),)
    told = [*notes.values(), *flags.values()]
    if maps.shape != (*images, *view.pixels.shape[2:]) or any(one.shape != images for one in told):
        raise ContractError(
            f"{method.name} gave maps {tuple(maps.shape)}, or notes or flags that do not fit {images[0]} images"
        )
    return _Made(
        maps.detach().cpu().numpy(),
        {name: note.detach().cpu().double() for name, note in notes.items()},
        {name: flag.detach().cpu().bool() for name, flag in flags.items()},
    )


def _to_one(maps: np.ndarray) -> np.ndarray:
    """Divide each map by its largest absolute value; a map without evidence stays as it is."""
    largest = np.abs(maps).max((1, 2), keepdims=True)
    return np.asarray(maps / np.where(largest > 0, largest, 1.0))


def _saturated(view: View, request: Request) -> Tensor:
    """Mark the images whose probability is so near 0 or 1 that what is explained is a flat part of the softmax."""
    if request.target.score != "prob" or traits_of(request.method).class_free:
        return torch.zeros(len(view.pixels), dtype=torch.bool)
    return (request.target.cotangent(view.logits).abs().amax(1) < _FLAT).cpu()


def _flags(exact: np.ndarray, finite: np.ndarray, rounded: np.ndarray) -> tuple[str, ...]:
    flags = {
        "blank": not exact.any(),
        "underflow": bool(finite.any()) and not rounded.any(),
        "not-finite": not np.isfinite(exact).all() or not np.isfinite(rounded).all(),
    }
    return tuple(name for name, true in flags.items() if true)


def _joined(parts: Sequence[Explanation]) -> Explanation:
    return Explanation(
        np.concatenate([part.maps for part in parts]),
        parts[0].layers,
        {name: np.concatenate([part.notes[name] for part in parts]) for name in parts[0].notes},
        tuple(flags for part in parts for flags in part.flags),
    )
