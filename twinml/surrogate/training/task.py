"""What lightning is told: loss, optimiser, schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from twinml.errors import SurrogateError
from twinml.surrogate.options import MlpOptions
from twinml.surrogate.predictors import MlpPredictor


def make_task(lightning: Any, network: MlpPredictor, options: MlpOptions, steps: int) -> Any:
    """The ``LightningModule``, made here because its base class is imported on use."""

    class RegressionTask(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.after_epoch: Any = None
            self.checkpoint: Any = None
            self.passes: list[int] = []

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            z, y = batch
            mean, std = self.network(z)
            residual = mean - y
            likelihood = torch.log(std) + 0.5 * (residual.detach() / std) ** 2
            return residual.pow(2).mean() + 0.01 * likelihood.mean()

        def on_train_epoch_end(self) -> None:
            done = self.current_epoch + 1
            if not all(bool(torch.isfinite(p).all()) for p in self.network.parameters()):
                raise SurrogateError(
                    f"The network's weights are not finite after epoch {done}; expected the loss "
                    "to fall. Lower learning_rate."
                )
            self.after_epoch(self.network, done)
            if self.checkpoint is not None and done < self.trainer.max_epochs:
                self.checkpoint.keep(self.trainer)

        def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            state = {"passes": self.passes[0], "best": self.after_epoch.state()}
            self.checkpoint.write(checkpoint, state)

        def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            state = self.checkpoint.read(checkpoint)
            self.passes[0] = state["passes"]
            self.after_epoch.load(state["best"])

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(
                self.network.parameters(),
                lr=options.learning_rate,
                weight_decay=options.weight_decay,
                fused=True,
            )
            warm = max(1, steps // 20)

            def factor(step: int) -> float:
                if step < warm:
                    return (step + 1) / warm
                return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
            interval = {"scheduler": schedule, "interval": "step"}
            return {"optimizer": optimizer, "lr_scheduler": interval}

    return RegressionTask()
