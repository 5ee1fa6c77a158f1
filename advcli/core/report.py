"""report.json: what is known about one run, as pydantic models."""

from pydantic import Field

from advcli.core.choices import FigureFormat
from advcli.core.fields import Number
from advcli.core.records import SCHEMA_VERSION, Result


class ModelReport(Result):
    """One classifier of a run.

    Attributes:
        name: as the user named it.
        architecture: of the network.
        source: where the weights came from.
        fingerprint: SHA-256 of the weights as loaded.
        classes: names, in the order of the logits.
        size: (height, width) of the input.
        resize: what the shorter side is resized to before the center crop.
        interpolation: of the resize.
        mean: of the normalization, per channel.
        std: of the normalization, per channel.
        folded: number of batch norms folded away.
        drift: largest difference that folding made to a logit of a photograph, as a share of its largest logit.
        certainty: share of the largest logit by which a saved picture must be misclassified to count.
        notes: what a user should know about the loading, one sentence each.
    """

    name: str
    architecture: str
    source: str
    fingerprint: str
    classes: tuple[str, ...]
    size: tuple[int, int]
    resize: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    folded: int
    drift: float = 0.0
    certainty: float = 0.0
    notes: tuple[str, ...] = ()


class Timings(Result):
    """Wall-clock time of the last call, after start-up.

    Attributes:
        seconds: of the last call.
        images_per_second: items worked on in the last call over ``seconds``; none where every item was done before.
        images: items worked on in the last call.
        cases: seconds that a case took for each item, where the command measures it.
    """

    seconds: float
    images_per_second: Number
    images: int
    cases: dict[str, float] = Field(default_factory=dict)


class Report(Result):
    """What is known about one run.

    Attributes:
        schema_version: of this file and of the records.
        command: the subcommand.
        command_line: of the last call, in a form that a shell takes.
        settings: what decides the results and is the same for all cases; a run with other settings is another run.
        axes: name of each axis of the grid to its values in this run.
        models: the classifiers.
        environment: versions, device, precision, threads.
        seed: of all randomness.
        block: rows that the network is shown at least (on a CPU) or exactly (elsewhere).
        inputs: number of items listed, and a digest of their names.
        skipped: combinations of the axes that make no sense, one sentence each.
        preflight: what looked wrong with a model or the data, one sentence each; empty where nothing did.
        summary: the counts of the inputs, the worst case over cases, and ``cases``: one entry per case, in long form.
        tables: name of a table to its path, relative to the run's folder.
        figures: name of a chart to its path, relative to the run's folder.
        figure_format: of the charts, by the last call.
        dpi: dots per inch that were asked for, for charts that are PNG; none for the default.
        timings: how long the last call took.
        started: ISO 8601, UTC.
        finished: ISO 8601, UTC; none while the run is under way, or where it was interrupted.
        exit_code: of the last call; none while the run is under way.
    """

    schema_version: int = SCHEMA_VERSION
    command: str
    command_line: str
    settings: dict[str, object]
    axes: dict[str, list[object]] = Field(default_factory=dict)
    models: tuple[ModelReport, ...] = ()
    environment: dict[str, object]
    seed: int
    block: int | None
    inputs: dict[str, object]
    skipped: tuple[str, ...] = ()
    preflight: tuple[str, ...] = ()
    summary: dict[str, object] = Field(default_factory=dict)
    tables: dict[str, str] = Field(default_factory=dict)
    figures: dict[str, str] = Field(default_factory=dict)
    figure_format: FigureFormat = "svg"
    dpi: int | None = None
    timings: Timings | None = None
    started: str
    finished: str | None = None
    exit_code: int | None = None
