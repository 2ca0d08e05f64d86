"""One model in two forms: python experiments/kernel_physics/run.py [starts=4] [rows=1000]"""

from __future__ import annotations

import sys

import torch
from exchanger import Exchanger, ExchangerWithTwin

import twinml as tw

TIMES = torch.linspace(0.0, 120.0, 61, dtype=torch.float64)


def compared(rows: int) -> float:
    """Largest difference between the header and the torch form over random scenarios, in K."""
    generator = torch.Generator().manual_seed(0)
    transfer = 0.05 + 0.35 * torch.rand(rows, generator=generator, dtype=torch.float64)
    header, torch_form = (
        tw.simulate(model, TIMES, parameters={"transfer": transfer}, dt=0.25, method="rk4",
                    engine=engine)
        for model, engine in ((Exchanger(), "native"), (ExchangerWithTwin(), "eager"))
    )  # fmt: skip
    return float((header["product"] - torch_form["product"]).abs().max())


def calibrated(starts: int) -> tw.Calibration:
    """Fit two parameters to a measured start-up, here one that the model made itself."""
    import numpy as np

    truth = tw.simulate(Exchanger(), TIMES, parameters={"transfer": 0.22, "cold_flow": 0.35})
    noise = 0.2 * np.random.default_rng(1).normal(size=TIMES.shape[0])
    product = truth["product"][0].numpy() + noise
    record = tw.Record(TIMES.numpy(), {"product": product}, {"product": "K"})
    return tw.calibrate(
        ExchangerWithTwin(), record, fit=["transfer", "cold_flow"], starts=starts, seed=0
    )


def main(arguments: dict[str, str]) -> dict[str, float]:
    """Print both answers; returns them."""
    difference = compared(int(arguments.get("rows", "1000")))
    print(f"header against torch: {difference:.1e} K at most")
    fit = calibrated(int(arguments.get("starts", "4")))
    found = {name: float(fit.values[name]) for name in fit.names}
    for name, value in found.items():
        print(f"{name} = {value:.4f} +- {fit.std[name]:.4f}")
    return {"difference": difference, **found}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(dict(word.split("=", 1) for word in sys.argv[1:]))
