"""What a training writes after every epoch, beside what it goes on from."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from advcli.engine._training_config import TrainConfig
from advcli.engine._training_network import Beginning
from advcli.images.writing import write_atomically
from advcli.spectra.pool import Pool, Request
from advcli.spectra.stopping import AlphaStop, Cue, cue_of_checkpoint
from advcli.training.epochs import Epoch, out_of_patience, watched
from advcli.training.tracking import histograms, parameter_table

MODEL, BEST, CHECKPOINT = "model.safetensors", "best.safetensors", "checkpoint.pt"
_SPECTRA = "spectra"


def kept(epoch: int) -> str:
    """Path of the weights of an epoch, below the run's folder."""
    return f"checkpoints/epoch-{epoch:04}.safetensors"


def tracked(epoch: int) -> str:
    """Path of what is known of the distribution of the weights after an epoch."""
    return f"tracking/epoch-{epoch:04}.json"


@dataclass(frozen=True)
class Keeper:
    """Writes files after every epoch.

    Args:
        out: folder of the run.
        config: of the training.
        beginning: the network, which is trained in place.
        initial: its state dict before the first step, with plain weights.
        facts: about the training, for the headers.
        pool: analyzes spectra.
        seed: of the run.
    """

    out: Path
    config: TrainConfig
    beginning: Beginning
    initial: Mapping[str, Tensor]
    facts: Mapping[str, object]
    pool: Pool
    seed: int

    def begin(self) -> None:
        """Write down how the network begins, where checkpoints or distributions are wanted."""
        if self.config.keep_every is not None and not (self.out / kept(0)).exists():
            self._write(kept(0), 0)
        if self.config.track and not (self.out / tracked(0)).exists():
            self._track(0)

    def after(self, epoch: Epoch, before: Sequence[Epoch], network: nn.Module) -> Epoch:
        """Write what the epoch leaves behind; see ``training.loop.OnEpoch``."""
        del network  # that of the beginning
        if all(watched(epoch) < watched(other) for other in before):
            self._write(BEST, epoch.epoch)
        if self.config.keep_every is not None and epoch.epoch % self.config.keep_every == 0:
            self._write(kept(epoch.epoch), epoch.epoch)
        if self.config.track:
            self._track(epoch.epoch)
        return self._with_cue(epoch) if self.config.stop_on == "alpha" else epoch

    def finish(self, epoch: int) -> None:
        """Write the network as it is after the last epoch."""
        self._write(MODEL, epoch)
        if self.config.keep_every is not None:
            self._write(kept(epoch), epoch)

    def written(self, epoch: int, *, last: bool) -> dict[str, str]:
        """Files of an epoch that are there, kind to path below the run's folder."""
        wanted = {"checkpoint": kept(epoch), **({"model": MODEL, "best": BEST} if last else {})}
        return {kind: path for kind, path in wanted.items() if (self.out / path).is_file()}

    def stop(self, history: Sequence[Epoch]) -> str | None:
        """Say why the training ends early; see ``training.loop.Stop``."""
        if self.config.stop_on == "alpha":
            judge = AlphaStop()
            ends = [judge.observe(Cue(one.epoch, one.alpha, one.over_trained or 0)) for one in history]
            if ends and ends[-1]:
                return f"the spectra of the weights say so for {judge.patience} epochs, with alpha {history[-1].alpha}"
        return out_of_patience(history, self.config.patience) if self.config.patience is not None else None

    def _write(self, path: str, epoch: int) -> None:
        self.beginning.write(self.out / path, {**self.facts, "epoch": epoch})

    def _track(self, epoch: int) -> None:
        bare = self.beginning.bare
        told = {
            "epoch": epoch,
            "parameters": parameter_table(bare, self.initial),
            "histograms": [
                {**asdict(one), "edges": np.asarray(one.edges).tolist(), "counts": np.asarray(one.counts).tolist()}
                for one in histograms(bare)
            ],
        }
        write_atomically(self.out / tracked(epoch), json.dumps(told).encode())

    def _with_cue(self, epoch: Epoch) -> Epoch:
        """Analyze the spectra of the weights; an epoch whose weights cannot be analyzed has no alpha."""
        with tempfile.TemporaryDirectory(prefix="advcli-train-") as folder:
            path = Path(folder) / "weights.safetensors"
            self.beginning.write(path, {})
            request = Request(str(path), str(self.out / _SPECTRA), seed=self.seed)
            cue = cue_of_checkpoint(self.pool, request, epoch.epoch)
        return epoch if cue is None else replace(epoch, alpha=cue.alpha, over_trained=cue.over_trained)
