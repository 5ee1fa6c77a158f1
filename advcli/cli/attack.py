"""advcli attack: the smallest change that a classifier misreads."""

from advcli.cli import method_options as opt
from advcli.cli.listing import list_methods
from advcli.cli.options import ImageOptions, ModelOptions, RunOptions
from advcli.cli.parsing import quantities, several
from advcli.cli.running import carry_out
from advcli.registry import parse_methods, quantity


def attack(
    images: ImageOptions,
    model: ModelOptions,
    run: RunOptions,
    method: opt.Attacks = None,
    eps: opt.Eps = None,
    min_eps: opt.MinEps = None,
    eps_space: opt.Space = "pixel",
    target: opt.Target = None,
    steps: opt.Steps = None,
    step_size: opt.StepSize = None,
    early_exit: opt.EarlyExit = True,
    queries: opt.Queries = None,
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
    sizes = quantities(eps, "--eps")
    resolution = None if min_eps is None else quantity(min_eps, "--min-eps")
    words = several(target, "--target")

    from advcli.engine.attack import AttackCommand
    from advcli.search.config import AttackConfig
    from advcli.search.wanted import Wanted

    targets = Wanted.of(words)
    config = AttackConfig(
        tuple(methods),
        sizes,
        targets,
        early_exit=early_exit,
        queries=queries,
        min_eps=resolution,
        diagnose=diagnose,
        time_budget=time_budget,
        surrogate=None if surrogate is None else model.requests(surrogate)[-1],
        eps_space=eps_space,
        keep_size=keep_size,
    )
    carry_out(AttackCommand(images.config(model, run.folder("attack")), config), run, model)
