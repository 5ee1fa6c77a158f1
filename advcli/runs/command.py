"""What a command tells the life of a run: its items, its cases, what is done to an item, and its figures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from advcli.core.choices import FigureFormat
from advcli.core.records import AnyRecord, Record
from advcli.core.report import ModelReport, Report

WAITING = 64  # products that may wait to be written, where they are done one by one


@dataclass(frozen=True)
class Item:
    """What a run works on, one at a time: an image, a block of attempts, a checkpoint, an epoch.

    Args:
        identity: its name, unique in the run; for a file relative, with forward slashes.
        source: what to open, for people; empty where there is nothing to open.
        file: the file whose content it is; none for an item that is only a number.
        payload: what the command needs to work on it.
    """

    identity: str
    source: str = ""
    file: Path | None = None
    payload: Any = None


@dataclass(frozen=True)
class Case:
    """One cell of a run's grid: what is done to every item.

    Args:
        id: made of the case's own values, unique in the run; see ``runs/grid.py``.
        axes: its public values, as in the records and in ``summary.cases``.
        order: place among the cases, the same however the grid came together.
        payload: what the command needs to carry it out.
    """

    id: str
    axes: Mapping[str, object]
    order: tuple[Any, ...] = ()
    payload: Any = None


Drawing = Callable[[], np.ndarray | bytes]


@dataclass(frozen=True)
class Product:
    """One result on its way to the disk.

    Args:
        item: whose.
        record: what is known; the stream adds ``files`` and ``digests``.
        pictures: kind of picture to (ending of its file's name, what draws it): ``{"adversarial": ("pgd-8_255.
            adversarial.png", draw)}``. Drawn and written by the stream's threads: uint8 (H, W, 3), (H, W), or the
            bytes of a file.
        stat: size, time stamp in ns and inode of the item's file before it was read; none for an item without a file.
        written: kind of file to its path below the run's folder, of files that the command has written itself.
    """

    item: Item
    record: AnyRecord
    pictures: Mapping[str, tuple[str, Drawing]] = field(default_factory=dict)
    stat: tuple[int, int, int] | None = None
    written: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """The figures of a run.

    Args:
        values: by name: the worst case on top, and ``cases``, one mapping per case in long form.
        tables: by name, rows of a CSV file each.
        charts: by name, see ``figures.formats.Chart``.
        models: classifiers that came of the run.
    """

    values: Mapping[str, object]
    tables: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    charts: Mapping[str, bytes] = field(default_factory=dict)
    models: Sequence[ModelReport] = ()


class Known(Protocol):
    """Results that hold from earlier calls."""

    @property
    def cases(self) -> Mapping[str, Mapping[str, object]]:
        """Id of each case on disk to its public values."""
        ...

    def record(self, item: str, case: str) -> dict[str, Any] | None:
        """Read one result, as in records.jsonl; none where there is none."""
        ...


@dataclass(frozen=True)
class Prepared:
    """A command that has looked at its models and options, ready to work.

    Args:
        items: all of the run, in listing order.
        cases: the grid, in canonical order.
        work: takes items that have cases left to do, lazily and in order, with those cases, and what is on disk
            already; gives products in the order of completion, of each item one product per case, or one with an
            ``ErrorRecord`` without a case. A product for a case that is on disk replaces it.
        summarize: figures from the records of the run, given the id and the axes of each case, earlier calls' included.
        columns: of the records that ``summarize`` reads.
        axes: names of the axes, which are keys of the records.
        settings: what decides the results and is the same for all cases.
        models: the classifiers, the first of the run first.
        skipped: combinations of the axes that make no sense, one sentence each.
        preflight: what looks wrong, one sentence each.
        environment: facts beyond those of every run.
        block: rows that the network is shown; none without a network.
        seconds: id of a case to the seconds that it took for each item; filled while working, where it is measured.
        time_budget: seconds after which ``work`` may end with results left to do; none where it never does.
        exports: name of a file below ``tables/`` to what writes it, given the path of records.jsonl and its own.
        waiting: products that may wait to be written. Where many are done at once it should hold two such groups, so
            that the work need not wait for the writers.
    """

    items: Sequence[Item]
    cases: Sequence[Case]
    work: Callable[[Iterator[tuple[Item, Sequence[Case]]], "Known"], Iterator[Product]]
    summarize: Callable[[pd.DataFrame, Mapping[str, Mapping[str, object]]], Summary]
    columns: Sequence[str] = ()
    axes: Sequence[str] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    models: Sequence[ModelReport] = ()
    skipped: Sequence[str] = ()
    preflight: Sequence[str] = ()
    environment: Mapping[str, object] = field(default_factory=dict)
    block: int | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    time_budget: float | None = None
    exports: Mapping[str, Callable[[Path, Path], None]] = field(default_factory=dict)
    waiting: int = WAITING


class Command(Protocol):
    """What makes one command different from another; its class is ``engine/NAME.py``'s ``NameCommand``.

    Attributes:
        name: of the subcommand.
        record: the class of its records.
        noun: what its items are called, one and several: ``("image", "images")``.
    """

    name: ClassVar[str]
    record: ClassVar[type[Record]]
    noun: ClassVar[tuple[str, str]]

    def prepare(self, config: "RunConfig", before: Report | None) -> Prepared:
        """Load what the command needs, and refuse what cannot be done, before the first item.

        Args:
            config: of the run.
            before: the report of the run that is continued, or none.

        Raises:
            AdvcliError: an option without meaning, an unusable model.
        """
        ...


class Listener(Protocol):
    """Hears how a run goes; the command line shows it."""

    def begin(self, command: str, noun: tuple[str, str], total: int, done: int) -> None:
        """``total`` results (items times cases) are wanted, ``done`` of them were finished before."""
        ...

    def phase(self, text: str) -> None:
        """Say what is being done now: a case, "writing the report"."""
        ...

    def progress(self, share: float) -> None:
        """So many results (a fraction counts) are finished beyond those on disk."""
        ...

    def record(self, record: Mapping[str, Any]) -> None:
        """One more record is on disk, as in records.jsonl; in listing order as soon as that order allows."""
        ...

    def finished(self, count: int) -> None:
        """So many results more are on disk, in the order of completion."""
        ...

    def warn(self, text: str) -> None:
        """Something looks wrong; the run goes on."""
        ...


class Silence:
    """A listener that shows nothing."""

    def begin(self, command: str, noun: tuple[str, str], total: int, done: int) -> None:
        """Show nothing."""

    def phase(self, text: str) -> None:
        """Show nothing."""

    def progress(self, share: float) -> None:
        """Show nothing."""

    def record(self, record: Mapping[str, Any]) -> None:
        """Show nothing."""

    def finished(self, count: int) -> None:
        """Show nothing."""

    def warn(self, text: str) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class RunConfig:
    """What every run has, whatever its command.

    Args:
        out: folder of the run, absolute.
        device: ``auto`` takes CUDA, then MPS, then the CPU.
        precision: of the passes that search; what they find is judged in fp32.
        block: rows the network is shown at least or exactly; by default chosen for the run.
        batch_size: rows in flight; by default as many as suit the device. Changes speed and memory, never a result.
        seed: of all randomness.
        overwrite: throw away what another run left in ``out``.
        command_line: in a form that a shell takes.
        listener: hears how it goes.
        figure_format: of the charts in ``out/figures``.
        dpi: dots per inch of charts that are PNG; none for the default.
    """

    out: Path
    device: str = "auto"
    precision: str = "fp32"
    block: int | None = None
    batch_size: int | None = None
    seed: int = 0
    overwrite: bool = False
    command_line: str = ""
    listener: Listener = field(default_factory=Silence)
    figure_format: FigureFormat = "svg"
    dpi: int | None = None
