"""One network for all targets, trained by lightning."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from twinml.errors import ConfigError
from twinml.surrogate.options import MlpOptions
from twinml.surrogate.predictors import MlpPredictor
from twinml.surrogate.training.checkpoint import Checkpoint
from twinml.surrogate.training.quiet import import_lightning, quiet

Progress = Callable[[str, int, int], None]
_CHECKS = 50  # how often at most the held-out rows are looked at


@dataclass(frozen=True)
class Batches:
    """Minibatches of (z, y); pass p is shuffled by (seed, p), so a pass does not depend on others.

    A torch DataLoader would fetch row by row and cost more than the network.
    """

    z: Tensor
    y: Tensor
    size: int
    seed: int
    passes: list[int]  # one counter, advanced by each pass

    def __len__(self) -> int:
        return math.ceil(len(self.z) / self.size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed((self.seed + self.passes[0]) % 2**63)
        self.passes[0] += 1
        order = torch.randperm(len(self.z), generator=generator)
        # equal parts: a short last batch would weigh its rows more
        for part in torch.tensor_split(order, len(self)):
            yield self.z[part], self.y[part]


def fit_mlp(
    z: Tensor,
    y: Tensor,
    options: MlpOptions,
    seed: int,
    progress: Progress | None,
    checkpoint: Path | None = None,
) -> tuple[MlpPredictor, dict[str, Any]]:
    """Train one network.

    The mean is fitted by squared error, the log variance by the likelihood of the residuals, whose
    gradient does not reach the mean: noise that varies from place to place is learned without
    giving up accuracy where it is large.

    Args:
        z: Standardised inputs, shape (n, k), float32, in random order.
        y: Standardised targets, shape (n, m), float32.
        options: See ``MlpOptions``.
        seed: Initial weights and the order of the rows.
        progress: Called as ("epochs", epochs done, epochs).
        checkpoint: A file for the state of the training, written now and then and removed at its
            end. Where it holds this same training's, that goes on, to the same bits.

    Returns:
        The network with the weights of its best pass, and what happened (epochs, best epoch).

    Raises:
        MissingDependencyError: lightning is not installed.
        ConfigError: A CUDA device is asked for and there is none.
        SurrogateError: The loss is not finite.
    """
    lightning = import_lightning()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "surrogate option mlp.device is 'cuda', and torch sees no CUDA device; expected one, "
            "with a torch build for CUDA. Leave device at 'cpu', which suits a network this small."
        )
    kept = None if checkpoint is None else _checkpoint(lightning, checkpoint, z, y, options, seed)
    held = round(options.holdout * len(z)) if len(z) >= 20 else 0
    held_z, held_y, z, y = z[:held], y[:held], z[held:], y[held:]
    size = max(1, min(options.batch, max(16, len(z) // 8)))
    batches = Batches(z, y, size, seed, passes=[0])
    epochs = max(1, math.ceil(options.steps / len(batches)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MlpPredictor(z.shape[1], y.shape[1], options.width, options.depth)

    from twinml.surrogate.training.task import make_task

    task = make_task(lightning, network, options, epochs * len(batches))
    keeper = _Keeper(held_z, held_y, max(1, epochs // _CHECKS), epochs, progress)
    task.after_epoch, task.checkpoint, task.passes = keeper, kept, batches.passes
    with quiet():
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="gpu" if options.device == "cuda" else "cpu",
            devices=1,
            deterministic=options.device == "cuda",  # what the CPU runs here is so anyway
            gradient_clip_val=1.0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            # a batch job's variables must not make this one process look like many
            plugins=[lightning.pytorch.plugins.environments.LightningEnvironment()],
        )
        _run(trainer, task, batches, None if kept is None else kept.found())
    if kept is not None:
        kept.remove()
    network.cpu()
    keeper.restore(network)
    info = {"epochs": epochs, "best_epoch": keeper.best_epoch, "held_out": held}
    return network.eval(), info


def _checkpoint(
    lightning: Any, path: Path, z: Tensor, y: Tensor, options: MlpOptions, seed: int
) -> Checkpoint:
    versions = {"torch": torch.__version__, "lightning": lightning.__version__}
    return Checkpoint(path, {**asdict(options), "seed": seed, **versions}, z, y)


def _run(trainer: Any, task: Any, batches: Batches, begun: Path | None) -> None:
    """``trainer.fit``, but Ctrl-C stays a KeyboardInterrupt.

    Lightning turns it into exit code 1 and leaves the signal ignored.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        # weights_only: a checkpoint is data, of which nothing is run
        trainer.fit(task, train_dataloaders=batches, ckpt_path=begun, weights_only=True)
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


class _Keeper:
    """Keeps the weights with the lowest held-out error, and reports the passes."""

    def __init__(
        self, z: Tensor, y: Tensor, every: int, epochs: int, progress: Progress | None
    ) -> None:
        self._z, self._y, self._every, self._epochs = z, y, every, epochs
        self._progress = progress
        self._best, self._state = math.inf, None
        self.best_epoch = epochs

    def __call__(self, network: MlpPredictor, done: int) -> None:
        if len(self._z) and (done % self._every == 0 or done == self._epochs):
            device = network.mean.weight.device
            with torch.no_grad():
                mean, _ = network(self._z.to(device))
                error = float((mean.cpu() - self._y).double().pow(2).mean())
            if error < self._best:
                self._best, self.best_epoch = error, done
                state = network.state_dict()
                self._state = {name: value.cpu().clone() for name, value in state.items()}
        if self._progress is not None:
            self._progress("epochs", done, self._epochs)

    def state(self) -> dict[str, Any]:
        """What it has seen, as plain data and tensors."""
        return {"error": self._best, "epoch": self.best_epoch, "weights": self._state}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._best, self.best_epoch = state["error"], state["epoch"]
        self._state = state["weights"]

    def restore(self, network: MlpPredictor) -> None:
        if self._state is not None:
            network.load_state_dict(self._state)
