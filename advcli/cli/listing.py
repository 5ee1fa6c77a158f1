"""Lists for people: methods with their settings, layers of a model."""

from advcli import registry
from advcli.cli.options import ModelOptions
from advcli.cli.streams import data
from advcli.cli.tables import print_table


def list_methods(*kinds: registry.Kind) -> None:
    """Print the methods of some kinds: idea, settings with types and defaults, source."""
    for kind in kinds:
        for name in registry.names(kind):
            list_method(kind, name)


def list_method(kind: registry.Kind, name: str) -> None:
    """Print one method: idea, settings with types and defaults, source."""
    idea, source = registry.source_of(kind, name)
    lines = [f"{name} ({kind}): {idea}"]
    lines += [
        f"    {setting.name}={_shown(setting.default)}  {_kind(setting)}; {setting.description}"
        for setting in registry.settings_of(kind, name)
    ]
    data().write("\n".join([*lines, f"    Source: {source}\n\n"]))


def list_layers(model: ModelOptions) -> None:
    """Print the layers of a model that a map can be read from."""
    from advcli.models.classifier import Classifier
    from advcli.models.layers import no_layer, pick_layer, spatial_layers
    from advcli.models.loading import load_network

    for request in model.requests():
        classifier = Classifier(*load_network(request))
        default = None if no_layer(classifier) else pick_layer(classifier, None)
        rows = [
            [
                layer.name,
                layer.kind,
                f"{layer.channels} x {layer.height} x {layer.width}",
                "default" if layer == default else "no gradient" if layer.silent else "",
            ]
            for layer in spatial_layers(classifier)
        ]
        print_table(["layer", "kind", "channels x height x width", ""], rows)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _kind(setting: registry.Setting) -> str:
    kind = " | ".join(setting.choices) or {int: "whole number", float: "number", bool: "true | false"}.get(
        setting.type, "text"
    )
    return f"{kind} | none" if setting.optional else kind
