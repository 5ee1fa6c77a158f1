"""advcli attack: the smallest lie a classifier will believe."""

from collections.abc import Sequence

from advcli.cli import options as opt
from advcli.cli import parsing
from advcli.cli.commands import image_command
from advcli.cli.listing import list_methods
from advcli.cli.running import carry_out
from advcli.errors import UsageError
from advcli.registry import parse_methods, settings_of


@image_command
def attack(
    common: opt.Common,
    method: opt.Attacks = None,
    eps: opt.Eps = None,
    target: opt.Target = "",
    steps: opt.Steps = None,
    step_size: opt.StepSize = None,
    early_exit: opt.EarlyExit = True,
    list_: opt.ListMethods = False,
) -> None:
    """Change IMAGES as little as allowed, until MODEL misreads them.

    Example: advcli attack photos/ --model resnet18 --method pgd:steps=20 --eps 4/255 --target second
    """
    if list_:
        list_methods("attack")
        return
    methods = parse_methods("attack", shortened(method or ["pgd"], steps, step_size), "--method")
    size = parsing.size_in_pixels(eps, "--eps")

    from advcli.engine.attack import attack as run
    from advcli.engine.attack import attack_command
    from advcli.engine.threat import threat

    wanted = threat(methods, size, target, early_exit=early_exit)
    carry_out("attack", common, lambda setup: attack_command(setup, wanted), lambda setup: run(setup, wanted))


def shortened(methods: Sequence[str], steps: int | None, step_size: str | None) -> list[str]:
    """Write ``--steps`` and ``--step-size`` into the methods' own settings.

    Raises:
        UsageError: a method has no such setting.
    """
    extra = {key: value for key, value in (("steps", steps), ("step_size", step_size)) if value is not None}
    for text in methods:
        name = text.partition(":")[0]
        known = {setting.name for setting in settings_of("attack", name)}
        for key in extra:
            if key not in known:
                option = "--" + key.replace("_", "-")
                raise UsageError(
                    f"{name} has no {option}", f"leave it out; {name} has: {', '.join(known) or 'no settings'}"
                )
    pairs = ",".join(f"{key}={value}" for key, value in extra.items())
    return [f"{text}{',' if ':' in text else ':'}{pairs}" if pairs else text for text in methods]
