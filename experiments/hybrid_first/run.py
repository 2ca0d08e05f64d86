"""The first hybrid twin: calibrate the physics, learn what it misses, compare. See README.md.

python experiments/hybrid_first/run.py [seeds=0,1,2] [out=FOLDER] [calibration=FILE] [quick=true]
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model import HybridTanks
from torch import Tensor
from training import FITTED, SOLVER, Fitted, Settings, free_run, rmse, train

import twinml as tw
from twinml.library import CascadedTanks

HERE = Path(__file__).resolve().parent
BESIDE = HERE.parents[2] / "shared" / "data"
FILE = Path(os.environ.get("TWINML_DATA", BESIDE)) / "cascaded_tanks" / "dataBenchmark.csv"
# Of the training record, samples before the second number are fitted, the others held out.
FULL, SHORT = (1024, 700), (320, 220)
FIXED = {"k1": 0.05, "rim1": 50.0, "rim2": 50.0}


def read(level: str, pump: str) -> tw.Record:
    """One of the two records of the benchmark file: a sample every 4 s, no time column."""
    return tw.Record.from_csv(
        FILE, period=4.0, columns={"level": level, "u": pump}, units={"level": "cm", "u": "V"},
        kinds={"u": "hold"},
    )  # fmt: skip


def tensors(record: tw.Record) -> tuple[Tensor, Tensor, Tensor]:
    """Time, pump and level, (T,) each."""
    return tuple(torch.as_tensor(v) for v in (record.time, record["u"], record["level"]))  # type: ignore[return-value]


def physics_only(model: tw.Physics) -> Any:
    """The flows alone: rims beyond any level, so nothing spills.

    k1 only sets the unit of h1, which nobody measures; ``calibrate`` refuses to fit it beside
    the others and names them.
    """
    return model.set_defaults(**FIXED)  # type: ignore[arg-type]


def calibrated(record: tw.Record, fitting: int) -> tw.Calibration:
    """The physics fitted to the samples that are not held out."""
    return tw.calibrate(
        physics_only(CascadedTanks()), record.head(fitting), fit=list(FITTED),
        fit_initial=["h1", "h2"], starts=4, **SOLVER,
    )  # fmt: skip


def main(arguments: Mapping[str, str]) -> dict[str, Any]:
    """Run every step; returns what ``metrics.json`` holds."""
    torch.set_num_threads(1)
    quick = arguments.get("quick", "false") == "true"
    out = Path(arguments.get("out", "runs/hybrid_first"))
    seeds = [int(s) for s in arguments.get("seeds", "0" if quick else "0,1,2").split(",")]
    rows, fitting = SHORT if quick else FULL
    settings = Settings(window=20, iterations=20, every=10) if quick else Settings()
    stored = arguments.get("calibration", str(HERE / "calibration.json") if quick else None)
    out.mkdir(parents=True, exist_ok=True)

    # 1. Calibrate the physics.
    record = read("yEst", "uEst").head(rows)
    calibration = calibrated(record, fitting) if stored is None else tw.load_calibration(stored)
    calibration.save(out / "calibration.json")
    parameters, initial = calibration.parameters(), calibration.initial()

    # 2. Let it run on its own; what is left is what the physics misses.
    t, u, y = tensors(record)
    held_out = torch.arange(len(t)) >= fitting
    parts = {"train": ~held_out, "validation": held_out}
    physics = physics_only(CascadedTanks())
    base = free_run(physics, t, u, parameters, initial)["level"][0]
    metrics: dict[str, Any] = {f"physics.{p}.rmse": rmse(base, y, m) for p, m in parts.items()}

    # 3. Learn the correction, once per seed.
    fits: list[tuple[tw.Physics, Fitted]] = []
    for seed in seeds:
        model = physics_only(HybridTanks(seed=seed))
        print(f"seed {seed}: iteration, free-run RMSE in V")
        fit = train(model, t, u, y, ~held_out, held_out, parameters, initial, settings, print)
        fits.append((model, fit))
        torch.save(
            {"weights": fit.weights, "parameters": fit.parameters, "initial": fit.initial},
            out / f"hybrid_{seed}.pt",
        )
        level = free_run(model, t, u, fit.parameters, fit.initial)["level"][0]
        for part, mask in parts.items():
            metrics[f"hybrid.{seed}.{part}.rmse"] = rmse(level, y, mask)
        metrics[f"hybrid.{seed}.iteration"] = fit.iteration
    pick = int(np.argmin([metrics[f"hybrid.{s}.validation.rmse"] for s in seeds]))
    metrics["chosen_seed"] = seeds[pick]

    # 4. The test record, once, when nothing is left to choose.
    time, pump, level = tensors(read("yVal", "uVal").head(rows))
    every = torch.ones(len(time), dtype=torch.bool)
    tested = free_run(physics, time, pump, parameters, initial)["level"][0]
    metrics["physics.test.rmse"] = rmse(tested, level, every)
    curves = {"physics": (base, tested)}
    for seed, (model, fit) in zip(seeds, fits, strict=True):
        last = free_run(model, time, pump, fit.parameters, fit.initial)["level"][0]
        metrics[f"hybrid.{seed}.test.rmse"] = rmse(last, level, every)
        if seed == seeds[pick]:
            fitted = free_run(model, t, u, fit.parameters, fit.initial)["level"][0]
            curves["hybrid"] = (fitted, last)
    for part in ("train", "validation", "test"):
        values = [metrics[f"hybrid.{seed}.{part}.rmse"] for seed in seeds]
        metrics[f"hybrid.{part}.rmse"] = float(np.mean(values))
        metrics[f"hybrid.{part}.rmse.std"] = float(np.std(values))

    # 5. The hybrid is a model like any other: load the weights, ask what an unknown start does.
    metrics |= uncertain_start(out / f"hybrid_{seeds[pick]}.pt", time, pump, rows=64)

    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    figure(out / "free_run.png", (t, y), (time, level), curves, fitting)
    print(table(metrics))
    print(f"written to {out}: metrics.json, free_run.png, calibration.json, hybrid_<seed>.pt")
    return metrics


def uncertain_start(file: Path, t: Tensor, u: Tensor, rows: int) -> dict[str, float]:
    """How far apart tanks of unknown first levels still are, after 10 min and at the peak."""
    stored = torch.load(file, weights_only=True)
    model = physics_only(HybridTanks())
    model.load_state_dict(stored["weights"])
    draw = torch.Generator().manual_seed(0)
    initial = {
        name: value * (0.8 + 0.4 * torch.rand(rows, generator=draw, dtype=torch.float64))
        for name, value in stored["initial"].items()
    }
    part = slice(0, 201)
    with torch.no_grad():
        sol = tw.simulate(
            model, t[part], parameters=stored["parameters"], initial=initial,
            inputs={"u": tw.Signal(t[part], u[part])},
            keep={"start": "initial(level)", "later": "at(level, 600)", "peak": "max(level)"},
            **SOLVER,
        )  # fmt: skip
    good = sol.ok
    found = {f"start.{name}.std": float(sol[name][good].std()) for name in sol.names}
    return {**found, "start.failed": float((~good).sum())}


def table(metrics: Mapping[str, Any]) -> str:
    """Free-run RMSE in V by model and part."""
    lines = [f"{'free-run RMSE [V]':24}{'train':>14}{'validation':>14}{'test':>14}"]
    for name in ("physics", "hybrid"):
        row = f"{name:24}"
        for part in ("train", "validation", "test"):
            spread = metrics.get(f"{name}.{part}.rmse.std")
            text = f"{metrics[f'{name}.{part}.rmse']:.3f}"
            row += f"{text if spread is None else f'{text} ± {spread:.3f}':>14}"
        lines.append(row)
    return "\n".join(lines)


def figure(
    path: Path,
    training: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    curves: Mapping[str, tuple[Tensor, Tensor]],
    fitting: int,
) -> None:
    """Measured level with both free runs, residuals below, for both records."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(12, 9), layout="constrained")
    FigureCanvasAgg(made)
    axes = made.subplots(4, 1, height_ratios=[3, 1.3, 3, 1.3])
    colours = {"physics": "#c8641b", "hybrid": "#1f5fa8"}
    for index, (title, (time, level)) in enumerate({"training": training, "test": test}.items()):
        upper, lower = axes[2 * index], axes[2 * index + 1]
        minutes = time / 60
        upper.plot(minutes, level, color="#1d2733", lw=2.5, label="measured")
        for name, runs in curves.items():
            run = runs[index]
            upper.plot(minutes, run, color=colours[name], lw=1.3, label=f"{name}, free run")
            lower.plot(minutes, run - level, color=colours[name], lw=1.3)
        if title == "training":
            for axis in (upper, lower):
                axis.axvspan(*minutes[[fitting, -1]].tolist(), color="#2f7d4f", alpha=0.1)
            upper.plot([], [], lw=8, color="#2f7d4f", alpha=0.2, label="held out (validation)")
        upper.set_title(f"{title} record", loc="left", fontweight="bold")
        upper.set_ylabel("level [V]")
        upper.legend(ncols=4, frameon=False, loc="lower center", bbox_to_anchor=(0.6, 1.0))
        lower.axhline(0, color="#66727f", lw=0.8)
        lower.set_ylabel("model minus\nmeasured [V]")
        lower.set_xlabel("time [min]")
        for axis in (upper, lower):
            axis.set_xlim(0, float(minutes[-1]))
            axis.grid(color="#dde3e9")
            axis.spines[["top", "right"]].set_visible(False)
    made.savefig(path, dpi=120)


if __name__ == "__main__":
    main(dict(item.split("=", 1) for item in sys.argv[1:]))
