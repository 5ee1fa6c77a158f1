"""Attacks on the grid of a run: the jobs that carry its cases out for each image."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from advcli.core.records import AttackRecord
from advcli.core.targets import choose_targets
from advcli.engine._attack_cases import AXES
from advcli.engine._transferring import transferred
from advcli.engine._variants import Variants
from advcli.images.writing import read_png
from advcli.models.classifier import Classifier
from advcli.runs.command import Case, Known, Product, RunConfig
from advcli.runs.images import Clean, Image, Unusable, look_at
from advcli.search.config import AttackConfig, Cell
from advcli.search.diagnosis import Diagnosis, diagnose
from advcli.search.facts import outcome_facts
from advcli.search.flow import Job, flow
from advcli.search.plans import Answer, AttackPlan, Problem, attack_job

_PHOTOGRAPHS = 4
_FREE = {"forward_passes": 0, "backward_passes": 0, "verification_passes": 0}
_UNASKED: dict[str, object] = {"indicators": (), "diagnosis": {}}  # of what was not computed, and so not diagnosed


def nothing_to_do(products: list[Product]) -> Generator[Any, Any, list[Product]]:
    """A job that is finished before it begins."""
    return products
    yield


@dataclass(frozen=True)
class Attacked:
    """What one case came to for one image.

    Args:
        clean: the image under its model.
        case: which.
        record: what is known, without pictures.
        saved: (3, H, W) the adversarial pixels as saved; the clean ones where the case is not applicable.
        saved_logits: (K,) of ``saved``; none where the point is that of an earlier call.
    """

    clean: Clean
    case: Case
    record: AttackRecord
    saved: torch.Tensor
    saved_logits: torch.Tensor | None = None


@dataclass(frozen=True)
class AttackGrid:
    """The cases of a run on its models, and the jobs that carry them out.

    Args:
        classifiers: of the run.
        cases: of the run; each one's payload is the place of its model and its ``Cell``.
        config: what is attempted.
        run: of the run.
        batch_size: rows in flight.
        surrogate: what ``transfer`` attacks.
        variants: of the classifiers.
    """

    classifiers: Sequence[Classifier]
    cases: Sequence[Case]
    config: AttackConfig
    run: RunConfig
    batch_size: int
    surrogate: Classifier | None = None
    variants: Variants = field(default_factory=Variants)

    @property
    def group_size(self) -> int:
        """Images that are read and looked at together; whole photographs take much memory."""
        return min(self.batch_size, _PHOTOGRAPHS) if self.config.keep_size else self.batch_size

    def flow(self, jobs: Iterator[Job[Any]]) -> Iterator[Any]:
        """Carry out jobs; see ``search.flow``."""
        budget = self.config.time_budget  # begins now
        return flow(
            jobs,
            batch_size=self.batch_size,
            early_exit=self.config.early_exit,
            queries=self.config.queries,
            on_progress=self.run.listener.progress,
            deadline=None if budget is None else time.monotonic() + budget,
        )

    def groups(self, read: Iterator[Image | Unusable]) -> Iterator[Sequence[Image] | Unusable]:
        """Put images together that are looked at in one pass of the network."""
        group: list[Image] = []
        for one in read:
            if isinstance(one, Unusable):
                yield one
                continue
            group.append(one)
            if len(group) >= self.group_size:
                yield group
                group = []
        if group:
            yield group

    def cleaned(self, images: Sequence[Image]) -> Iterator[tuple[Clean, list[Case]]]:
        """Classify images by each model that has cases left; give each image with cases that differ in eps alone."""
        for place, classifier in enumerate(self.classifiers):
            wanted = [image for image in images if any(case.payload[0] == place for case in image.cases)]
            for seen in look_at(classifier, wanted, place) if wanted else ():
                clean = self.variants.in_own_size(seen) if self.config.keep_size else seen
                mine = [case for case in clean.image.cases if case.payload[0] == place]
                for key in dict.fromkeys(_group(case) for case in mine):
                    yield clean, [case for case in mine if _group(case) == key]

    def job(self, clean: Clean, cases: Sequence[Case], known: Known, finish: Any) -> Generator[Any, Any, list[Any]]:
        """Attack one image under cases that differ in eps alone.

        Args:
            clean: the image under its model.
            cases: left to do, eps ascending.
            known: what is on disk.
            finish: turns each ``Attacked`` into what the job gives.
        """
        cell: Cell = cases[0].payload[1]
        clean = self.variants.expected(clean, getattr(cell.method.build(), "expectation", 1))
        target = self.target(clean, cell)
        if target == clean.label:
            return [finish(self._not_applicable(clean, case)) for case in cases]
        before, larger = self._on_disk(clean, cases[0], known)
        implied = [case for case in cases if before is not None and _eps(case) > before["eps"]]
        found = [self._from_disk(clean, case, before) for case in implied]
        left = [case for case in cases if case not in implied]
        if left:
            problem, plan = self._problem(clean), self._plan(cell, target, left, clean.classifier.samples)
            surrogate = self.surrogate if cell.surrogate else None
            if surrogate is not None and self.config.keep_size:
                surrogate = self.variants.keeping(surrogate, clean.classifier.card.preprocessing.size)
            attacking = transferred(problem, plan, surrogate) if surrogate else attack_job(problem, plan)
            answers: list[Answer] = yield from attacking
            for case, one in zip(left, answers, strict=True):
                told: Diagnosis | None = None
                if self.config.diagnoses(cell) and not one.implied and one.restart is not None:
                    told = yield from diagnose(problem, plan, one, every=self.config.diagnose)
                found.append(self._attacked(clean, case, target, one, told))
            found += self._superseded(clean, found, larger)
        return [finish(one) for one in found]

    def target(self, clean: Clean, cell: Cell) -> int:
        """Choose the class that an image is to reach, or -1."""
        if cell.target == "none":
            return -1
        rule = self.config.targets.rule(cell.target, clean.image.item.identity, clean.classes)
        label = torch.tensor([clean.label])
        return int(choose_targets(rule, clean.logits[None].cpu(), label, self.run.seed, [clean.image.sha256])[0])

    def _problem(self, clean: Clean) -> Problem:
        return Problem(clean.classifier, clean.pixels, clean.logits, clean.label, clean.image.sha256, self.run.seed)

    def _plan(self, cell: Cell, target: int, cases: Sequence[Case], samples: int) -> AttackPlan:
        return AttackPlan(
            attack=cell.method.build(),
            name=cell.name,
            target=target,
            eps=tuple(_eps(case) for case in cases),
            min_eps_resolution=cell.smallest.value if cell.smallest else None,
            queries=None if self.config.queries is None else max(1, self.config.queries // samples),
            shares=cell.shares,
        )

    def _attacked(self, clean: Clean, case: Case, target: int, answer: Answer, told: Diagnosis | None) -> Attacked:
        outcome = answer.outcome
        facts = outcome_facts(target, outcome)
        facts |= {name: facts[name] * clean.classifier.samples for name in _FREE}
        cell: Cell = case.payload[1]
        after = clean.saw(outcome.saved_logits)
        record = AttackRecord(
            **clean.facts,
            **_axes(case, clean) | (_ball(cell, answer.eps) if cell.smallest is not None else {}),
            **(facts | _FREE if answer.implied else facts),
            case=case.id,
            target=clean.classes[target] if target >= 0 else None,
            adversarial_prediction=after["top5"][0]["name"],
            adversarial_probability=after["probability"],
            adversarial_top5=after["top5"],
            adversarial_margin=after["margin"],
            implied=answer.implied,
            stage=answer.stage,
            restart=answer.restart,
            indicators=told.indicators if told else (),
            diagnosis={**told.figures, "passes": told.passes * clean.classifier.samples} if told else {},
            flags=_flags(facts, target, answer),
        )
        return Attacked(clean, case, record, outcome.saved, outcome.saved_logits)

    def _not_applicable(self, clean: Clean, case: Case) -> Attacked:
        record = AttackRecord(
            **clean.facts,
            **_axes(case, clean),
            case=case.id,
            status="not-applicable",
            error=f"the target {case.axes['target_rule']} is the label of this image",
            target=clean.classes[clean.label],
        )
        return Attacked(clean, case, record, clean.pixels)

    def _on_disk(self, clean: Clean, case: Case, known: Known) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """Find what earlier calls know of an image under cases that differ from this one in eps alone.

        Returns:
            The success with the smallest eps, if any; and all computed results, for a smaller success to replace.
        """
        if case.payload[1].eps is None or case.payload[1].smallest is not None or case.payload[1].method.occurrence > 1:
            return None, []
        mine = {name: value for name, value in case.axes.items() if name != "eps"}
        records = []
        for other, axes in known.cases.items():
            if axes.get("eps") is not None and all(axes.get(name) == value for name, value in mine.items()):
                record = known.record(clean.image.item.identity, other)
                if record is not None and record["status"] == "ok" and not record["implied"]:
                    records.append(record)
        reached = [one for one in records if _attacked(one)]
        return min(reached, key=lambda one: one["eps"], default=None), records

    def _from_disk(self, clean: Clean, case: Case, before: Mapping[str, Any] | None) -> Attacked:
        """Fill in a result for an eps above one that sufficed in an earlier call."""
        assert before is not None
        free = {**_FREE, **_UNASKED, "files": {}, "digests": {}}
        flags = tuple(flag for flag in before["flags"] if flag not in ("already-wrong", "already-there", "renamed"))
        ball = _ball(case.payload[1], _eps(case))
        raw = {**before, **free, **ball, "case": case.id, "implied": True, "flags": flags}
        record = AttackRecord.model_validate({name: raw[name] for name in AttackRecord.model_fields})
        saved = read_png(self.run.out / before["files"]["adversarial"])
        return Attacked(clean, case, record, torch.from_numpy(saved.transpose(2, 0, 1).astype(np.float32) / 255))

    def _superseded(
        self, clean: Clean, found: Sequence[Attacked], larger: Sequence[Mapping[str, Any]]
    ) -> Iterator[Attacked]:
        """Replace results of earlier calls for an eps above one that has now sufficed."""
        enough = [one for one in found if not one.record.implied and _attacked(one.record.model_dump())]
        if not enough:
            return
        least = enough[0]
        for record in larger:
            if record["eps"] > (least.record.eps or 0):
                case = Case(record["case"], {name: record[name] for name in AXES})
                ball = _ball(least.case.payload[1], record["eps"])
                update = {**_FREE, **_UNASKED, **ball, "case": case.id, "implied": True}
                yield Attacked(clean, case, least.record.model_copy(update=update), least.saved, least.saved_logits)


def _flags(facts: Mapping[str, Any], target: int, answer: Answer) -> tuple[str, ...]:
    flags = []
    if answer.outcome.forward_passes == 0 and not answer.implied:
        flags.append("already-there" if target >= 0 else "already-wrong")
    verdict = "misclassified" if target < 0 else "target_reached"
    if facts[verdict] and not facts[f"{verdict}_as_saved"]:
        flags.append("lost-in-rounding")
    return tuple(flags)


def _axes(case: Case, clean: Clean) -> dict[str, object]:
    """Axes of a case that stand in no other part of its record, and what its eps is in each channel."""
    cell: Cell = case.payload[1]
    ball = {} if cell.eps is None else _ball(cell, cell.eps.value)
    return {name: value for name, value in case.axes.items() if name not in clean.facts} | ball


def _ball(cell: Cell, eps: float) -> dict[str, Any]:
    """What a record says of a radius, that of the widest channel."""
    if cell.unit is None:
        return {"eps": eps}
    # Twelve digits: a radius of 0.1 comes back as 0.1.
    asked = float(f"{eps / cell.unit:.12g}")
    each = tuple(eps * share for share in cell.shares or (1.0, 1.0, 1.0))
    return {"eps": eps, "eps_normalized": asked, "eps_channels": each}


def _eps(case: Case) -> float:
    cell: Cell = case.payload[1]
    return 0.0 if cell.eps is None else cell.eps.value


def _group(case: Case) -> tuple[object, ...]:
    """What cases share that differ in eps alone."""
    place, cell = case.payload
    return (place, cell.name, cell.target, cell.smallest is not None)


def _attacked(record: Mapping[str, Any]) -> bool:
    """Say whether an attack was successful, as saved, on an image that was not at the goal before."""
    verdict = "misclassified" if record["target"] is None else "target_reached"
    return bool(record[f"{verdict}_as_saved"]) and record["restart"] is not None
