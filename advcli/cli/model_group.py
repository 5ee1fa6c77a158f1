"""advcli model …: looks after models."""

from typing import Annotated

import typer

from advcli.cli.commands import unfolded
from advcli.cli.help import FrontPage, Page
from advcli.cli.listing import list_layers
from advcli.cli.options import ModelOptions
from advcli.cli.streams import data
from advcli.cli.tables import print_table

app = typer.Typer(cls=FrontPage, rich_markup_mode=None, help="Look after models: list, layers.")


def _list(json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """List the models that --model and the architectures that --arch takes by name.

    Examples:
      advcli model list
      advcli model list --json | jq -r '.[].name'
      advcli attack photos/ --model "$(advcli model list --json | jq -r '.[0].name')"
    """
    from advcli.models.loading.catalog import list_models

    models = list_models()
    if json:
        import json as writer
        from dataclasses import asdict

        data().write(writer.dumps([asdict(model) for model in models], indent=2) + "\n")
        return
    print_table(["name", "kind"], [[model.name, model.kind] for model in models])


def _layers(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="As for --model.")] = "cifar10-resnet20",
    arch: Annotated[str | None, typer.Option(metavar="NAME", help="Architecture of a file of bare weights.")] = None,
    weights: Annotated[str | None, typer.Option(metavar="NAME", help="Weights; none: random.")] = None,
    size: Annotated[int | None, typer.Option(metavar="PIXELS", min=1, help="Side of the input.")] = None,
    trust_model: Annotated[bool, typer.Option("--trust-model", help="Load files that can run code.")] = False,
) -> None:
    """List the layers of MODEL that a map can be read from, in the order the network reaches them.

    Examples:
      advcli model layers
      advcli model layers resnet18 --weights none
      advcli explain photos/ --model resnet18 --layer layer3
    """
    list_layers(ModelOptions(model=[model], arch=arch, weights=weights, size=size, trust_model=trust_model))


app.command(name="list", cls=Page)(unfolded(_list))
app.command(name="layers", cls=Page)(unfolded(_layers))
