"""advcli attack: the smallest change that a classifier misreads."""

from advcli.cli import method_options as opt
from advcli.cli.image_options import ImageOptions
from advcli.cli.listing import list_methods
from advcli.cli.options import ModelOptions, RunOptions
from advcli.cli.running import carry_out
from advcli.cli.threat_options import ThreatOptions
from advcli.registry import parse_methods


def attack(
    images: ImageOptions,
    model: ModelOptions,
    run: RunOptions,
    *,
    method: opt.Attacks = None,
    threat: ThreatOptions,
    steps: opt.Steps = None,
    step_size: opt.StepSize = None,
    diagnose: opt.Diagnose = False,
    time_budget: opt.TimeBudget = None,
    surrogate: opt.Surrogate = None,
    keep_size: opt.KeepSize = False,
    list_: opt.ListMethods = False,
) -> None:
    """Change IMAGES as little as allowed, until MODEL misreads them.

    Examples:
      advcli attack photos/ --model resnet18 --method pgd:steps=20 --eps 4/255
      advcli attack photos/ --eps 1/255,2/255,4/255 --target second --target least
      advcli attack photos/ --method pgd --method fgsm --jsonl | advcli explain -
    """
    if list_:
        list_methods("attack")
        return
    short = {"steps": None if steps is None else str(steps), "step_size": step_size}
    methods = parse_methods("attack", method or ["pgd"], "--method", short)
    config = threat.config(
        methods,
        diagnose=diagnose,
        time_budget=time_budget,
        surrogate=None if surrogate is None else model.requests(surrogate)[-1],
        keep_size=keep_size,
    )

    from advcli.engine.attack import AttackCommand

    carry_out(AttackCommand(images.config(model, run.folder("attack")), config), run, model)
