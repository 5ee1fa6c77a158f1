"""Train: a network of our own on labelled images, written as a file that ``--model`` takes."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import ClassVar

from advcli.core.records import EpochRecord, Record
from advcli.core.report import Report
from advcli.engine._training_config import TrainConfig
from advcli.engine._training_data import Data, read_data
from advcli.engine._training_files import CHECKPOINT, MODEL, Keeper
from advcli.engine._training_network import Beginning, Design, begin
from advcli.engine._training_results import HISTORY, Results
from advcli.models.devices import pick_device, repeatable
from advcli.runs.command import Case, Item, Known, Prepared, Product, RunConfig
from advcli.runs.grid import case_id
from advcli.runs.life import run
from advcli.spectra.pool import Pool
from advcli.training.epochs import Epoch
from advcli.training.loop import Hooks, Normalized, Plan, fit
from advcli.training.together import Group, own_device

__all__ = ["CHECKPOINT", "MODEL", "TrainCommand", "TrainConfig", "train"]

Todo = Iterator[tuple[Item, Sequence[Case]]]


def train(config: RunConfig, what: TrainConfig) -> Report:
    """Train a network, or go on where a training was interrupted.

    Args:
        config: of the run; the same seed and settings give the same weights on the same machine.
        what: data, architecture and recipe.

    Returns:
        The report of the run in ``config.out``, where ``model.safetensors`` and ``best.safetensors`` are; records are
        ``EpochRecord``.

    Raises:
        AdvcliError: see ``runs.life.run``.
    """
    return run(config, TrainCommand(what))


@dataclass(frozen=True)
class TrainCommand:
    """Describes a training run, whose items are epochs; see ``Command``.

    Args:
        config: what is to be learned.
        group: processes that train together.
    """

    config: TrainConfig
    group: Group = field(default_factory=Group)

    name: ClassVar[str] = "train"
    record: ClassVar[type[Record]] = EpochRecord
    noun: ClassVar[tuple[str, str]] = ("epoch", "epochs")
    figures: ClassVar[tuple[str, ...]] = (
        *("epochs", "best_epoch", "errors", "loss", "train_accuracy"),
        *("validation_loss", "validation_accuracy", "validation_robust_accuracy", "test_loss", "test_accuracy"),
        *("best_validation_accuracy", "best_validation_robust_accuracy", "best_test_accuracy"),
    )

    def prepare(self, config: RunConfig, before: Report | None) -> Prepared:
        """Read the images and build the network."""
        del before
        training = self._training(config)
        recipe, results = self.config.recipe, training.results
        return Prepared(
            items=[Item(f"epoch-{number:04}", payload=number) for number in range(1, recipe.epochs + 1)],
            cases=[Case(case_id([self.config.arch]), {})],
            work=training.work,
            summarize=results.summarize,
            columns=["item", "case", "status", *HISTORY],
            settings=training.settings,
            preflight=[*training.data.doubts()],
            environment={
                "precision": recipe.precision,
                "data": [str(name) for name in self.config.data],
                "processes": self.group.size,
            },
        )

    def follow(self, config: RunConfig) -> None:
        """Train beside the process that writes the run, and write nothing.

        Args:
            config: of that run.

        Raises:
            AdvcliError: as there.
        """
        if self.group.told(False):  # noqa: FBT003  what process 0 says; it may have nothing to do
            with repeatable():
                for _ in self._training(config).epochs(Hooks()):
                    pass

    def _training(self, config: RunConfig) -> "Training":
        design = Design(self.config)
        if self.config.pretrained:
            design.pretrained  # noqa: B018  refused before images are read
        data = read_data(self.config, design.reading, config.seed)
        return Training(config, begin(design, data, config.seed, config.out / MODEL), data, self)


@dataclass(frozen=True)
class Training:
    """Trains one network.

    Args:
        run: of the run.
        beginning: the network, trained in place.
        data: the images.
        command: what is to be learned, and by which processes.
    """

    run: RunConfig
    beginning: Beginning
    data: Data
    command: TrainCommand

    @cached_property
    def settings(self) -> dict[str, object]:
        """What decides the weights, beside the seed."""
        how = self.beginning.card.preprocessing
        return {
            **self.command.config.settings,
            "size": how.size[0],
            "mean": list(how.mean),
            "std": list(how.std),
            **self.data.settings,
        }

    @property
    def results(self) -> Results:
        """Makes the figures of the run."""
        return Results(self.run, self.data, self.beginning.normalized, self.command.config)

    def work(self, todo: Todo, known: Known) -> Iterator[Product]:
        """Train the epochs that are left; of those that the checkpoint has, tell what the run does not know yet."""
        del known
        left = {item.payload: (item, cases[0]) for item, cases in todo}
        if not left and (self.run.out / MODEL).exists():
            self.command.group.told(False)  # noqa: FBT003  the other processes may go
            return
        self.command.group.told(True)  # noqa: FBT003
        with Pool() as pool:
            keeper = self._keeper(pool)
            keeper.begin()
            done: list[Epoch] = []
            hooks = Hooks(self.run.listener.progress, keeper.after, keeper.stop)
            for epoch in self.epochs(hooks):
                done.append(epoch)
                why = keeper.stop(done) if epoch.epoch < self.command.config.recipe.epochs else None
                last = why is not None or epoch.epoch == self.command.config.recipe.epochs
                if last:  # before its record: a run whose records are complete has its model
                    keeper.finish(epoch.epoch)
                if why is not None:
                    self.run.listener.warn(f"stopped after epoch {epoch.epoch}: {why}")
                if epoch.epoch in left:
                    item, case = left[epoch.epoch]
                    record = EpochRecord(item=item.identity, case=case.id, **asdict(epoch))
                    yield Product(item, record, written=keeper.written(epoch.epoch, last=last))
                self.run.listener.phase(_figures(epoch))

    def epochs(self, hooks: Hooks) -> Iterator[Epoch]:
        """Train; see ``training.loop.fit``."""
        config, group = self.command.config, self.command.group
        how, hardening = self.beginning.card.preprocessing, config.hardening
        plan = Plan(
            config.recipe,
            self.run.seed,
            pick_device(own_device(self.run.device, group)),
            self.run.out / CHECKPOINT,
            identity=repr((self.run.seed, self.settings)),
            objective=hardening.objective(config.recipe.label_smoothing),
            check=hardening.attack.check.attack if hardening.attack else None,
            group=group,
        )
        return fit(Normalized(self.beginning.network, how.mean, how.std), self.data.examples, plan, hooks)

    def _keeper(self, pool: Pool) -> Keeper:
        initial = {name: value.clone() for name, value in self.beginning.bare.state_dict().items()}
        facts = {"seed": self.run.seed, **self.settings}
        return Keeper(self.run.out, self.command.config, self.beginning, initial, facts, pool, self.run.seed)


def _figures(epoch: Epoch) -> str:
    """Write what a person who waits wants to know of the last epoch."""
    told = {"train": epoch.train_accuracy, "validation": epoch.validation_accuracy, "test": epoch.test_accuracy}
    shares = ", ".join(f"{name} {value:.4f}" for name, value in told.items() if value is not None)
    return f"loss {epoch.loss:.4f}, {shares}, rate {epoch.learning_rate:.2g}"
