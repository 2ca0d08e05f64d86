"""Bad words on the command line."""

from __future__ import annotations

from tests.cli.bad_input.case import Bad

CASES: dict[str, Bad] = {
    "unknown task": Bad("simulat twin=kiln", ("'simulat'", "Did you mean 'simulate'")),
    "unknown option": Bad("simulate twin=kiln --verbose", ("'--verbose'", "--help")),
    "a word without =": Bad("simulate twin kiln", ("'twin'", "key=value")),
    "an empty value": Bad("simulate twin=", ("'twin='", "kiln")),
    "no twin": Bad("simulate", ("needs a twin", "twin=<name>", "kiln")),
    "no scenario": Bad("sweep twin=kiln", ("needs a scenario", "soak")),
    "unknown twin": Bad("simulate twin=kilm", ("No twin 'kilm'", "'kiln'", "configs/twin")),
    "unknown scenario": Bad(
        "sweep twin=kiln scenario=soap", ("No scenario 'soap'", "'soak'", "configs/scenario")
    ),
    "unknown experiment": Bad("simulate experiment=mine", ("No experiment 'mine'", "Known: ")),
    "an experiment that names an unknown twin": Bad(
        "simulate experiment=mine",
        ("twin/kilm", "'kiln'"),
        {
            "configs/experiment/mine.yaml": "# @package _global_\n"
            "defaults:\n  - override /twin: kilm\n"
        },
    ),
    "an experiment without its first line": Bad(
        "simulate experiment=mine",
        ("configs/experiment/mine.yaml", "# @package _global_"),
        {"configs/experiment/mine.yaml": "defaults:\n  - override /twin: kiln\n"},
    ),
    "unknown solver": Bad("simulate twin=kiln solver=stif", ("No solver 'stif'", "'stiff'")),
    "unknown executor": Bad(
        "sweep twin=kiln scenario=soak executor=locl", ("No executor 'locl'", "'local'")
    ),
    "unknown surrogate": Bad(
        "train sweep=swp surrogate=gpp", ("No surrogate 'gpp'", "'gp'"), given=("swp",)
    ),
    "unknown target": Bad(
        "export run=trn target=torchscrip",
        ("No target 'torchscrip'", "'torchscript'"),
        given=("trn",),
    ),
    "a group of another task": Bad(
        "simulate twin=kiln surrogate=gp", ("simulate takes no surrogate", "Its groups: ")
    ),
    "an experiment of another task": Bad(
        "train experiment=outbreak", ("experiment=outbreak", "another task")
    ),
    "unknown key": Bad("simulate twin=kiln sed=1", ("'sed'", "'seed'")),
    "unknown nested key": Bad(
        "simulate twin=kiln solver.rtl=1e-3", ("'solver.rtl'", "solver.rtol")
    ),
    "unknown key of a twin": Bad("simulate twin=kiln twin.tim.unit=s", ("'twin.tim'", "twin.time")),
    "a key below a value": Bad("simulate twin=kiln seed.x=1", ("seed is a single value",)),
    "an added key": Bad("simulate twin=kiln +speed=3", ("+speed=3", "cannot be added")),
    "a deleted key": Bad("simulate twin=kiln ~seed", ("~seed", "cannot be deleted")),
    "a key of Hydra": Bad("simulate twin=kiln hydra.run.dir=a", ("hydra.run.dir=a", "not part")),
    "several values without -m": Bad("simulate twin=kiln seed=1,2", ("2 values", "-m", "[a,b]")),
    "an interval": Bad("simulate -m twin=kiln seed=interval(1,2)", ("interval", "seed=a,b")),
    "unbalanced brackets": Bad("simulate twin=kiln fit=[loss", ("fit=[loss", "quoted")),
    "a list for a twin": Bad("simulate twin=[kiln]", ("twin takes the name of a choice",)),
    "a folder of configs that is not there": Bad(
        "simulate twin=kiln --config-dir nowhere", ("nowhere is not a folder",)
    ),
    "a folder of configs left out": Bad("simulate twin=kiln --config-dir", ("--config-dir DIR",)),
    "a tool's unknown option": Bad("verify --fast dist", ("--fast", "Usage: ")),
    "a tool without its path": Bad("show", ("PATH", "Usage: ")),
    "spaces in a value": Bad(
        "simulate twin=kiln data.path='my kiln.csv'", ("my kiln.csv", "does not exist")
    ),
    "commas in a value": Bad(
        "simulate twin=kiln data.path=a,b.csv", ("2 values", "\"data.path='a,b.csv'\"")
    ),
    "an equals sign in a value": Bad(
        "simulate twin=kiln data.path=run=1.csv", ("\"data.path='run=1.csv'\"",)
    ),
}

VALUES: dict[str, Bad] = {
    "samples that are no number": Bad(
        "sweep twin=kiln scenario=soak samples=many", ("samples='many'", "a whole number")
    ),
    "a fraction of a sample": Bad(
        "sweep twin=kiln scenario=soak samples=1.5", ("samples=1.5", "a whole number")
    ),
    "no samples": Bad("sweep twin=kiln scenario=soak samples=0", ("samples=0", "at least 1")),
    "negative samples": Bad(
        "sweep twin=kiln scenario=soak samples=-5", ("samples=-5", "at least 1")
    ),
    "too many samples": Bad(
        "sweep twin=kiln scenario=soak samples=1e18",
        ("samples=1,000,000,000,000,000,000", "TB", "out="),
    ),
    "more starts than anyone has": Bad(
        "calibrate twin=kiln starts=1e12", ("starts=1000000000000", "1,000,000")
    ),
    "a sensitivity that is too large": Bad(
        "sweep twin=kiln scenario=soak sensitivity=100_000_000_000",
        ("sensitivity=100000000000", "1,048,576"),
    ),
    "an empty run directory": Bad("simulate twin=kiln horizon.stop=60 out=", ("'out='", "folder")),
    "no workers": Bad("sweep twin=kiln scenario=soak workers=0", ("workers", "0", "at least 1")),
    "a sensitivity that is too small": Bad(
        "sweep twin=kiln scenario=soak sensitivity=4", ("sensitivity=4", "0 for none")
    ),
    "too few elementary effects": Bad(
        "sweep twin=kiln scenario=soak morris=3", ("morris=3", "4 trajectories")
    ),
    "fewer paths than none": Bad(
        "sweep twin=kiln scenario=soak trajectories=-1", ("trajectories=-1", "or 0 for none")
    ),
    "a seed that is no number": Bad("simulate twin=kiln seed=abc", ("seed='abc'", "whole number")),
    "a negative seed": Bad("sweep twin=kiln scenario=soak seed=-1", ("seed", "-1")),
    "a level that is no probability": Bad("calibrate twin=kiln level=90", ("level=90", "0.9")),
    "no starts": Bad("calibrate twin=kiln starts=0", ("starts=0", "from 1")),
    "an unknown method": Bad("simulate twin=kiln solver.method=rk5", ("'rk5'", "rk4")),
    "a fixed-step method without a step": Bad(
        "simulate twin=kiln solver.method=rk4", ("'rk4'", "dt")
    ),
    "an unknown engine": Bad("simulate twin=kiln solver.engine=eagre", ("'eagre'", "eager")),
    "an unknown dtype": Bad("simulate twin=kiln solver.dtype=float16", ("float16", "float32")),
    "an unknown device": Bad("simulate twin=kiln solver.device=gpu7", ("gpu7",), foreign=True),
    "a negative tolerance": Bad(
        "simulate twin=kiln solver.rtol=-1e-6", ("rtol=-1e-06", "positive")
    ),
    "a tolerance for an unknown state": Bad(
        "simulate twin=kiln solver.atol={wal:1e-6}", ("wal", "wall")
    ),
    "a negative step": Bad(
        "simulate twin=kiln solver.method=rk4 solver.dt=-1", ("dt=-1", "positive")
    ),
    "no steps": Bad("simulate twin=kiln solver.max_steps=0", ("max_steps=0", "from 1")),
    "a device in a sweep": Bad(
        "sweep twin=kiln scenario=soak solver.device=cpu", ("solver.device=cpu", "unset")
    ),
    "one point": Bad("simulate twin=kiln horizon.stop=9 horizon.points=1", ("horizon.points=1",)),
    "far too many points": Bad(
        "simulate twin=kiln horizon.stop=9 horizon.points=10_000_000_000_000",
        ("horizon.points=10",),
    ),
    "an infinite horizon": Bad("simulate twin=kiln horizon.stop=inf", ("horizon.stop=inf",)),
    "a horizon that is no number": Bad(
        "simulate twin=kiln horizon.stop=nan", ("horizon.stop=nan",)
    ),
    "a horizon without length": Bad("simulate twin=kiln horizon.stop=0", ("horizon",)),
    "a horizon with a unit": Bad(
        "simulate twin=kiln horizon.stop='2 h'", ("horizon.stop", "number")
    ),
    "an unknown parameter": Bad(
        "simulate twin=kiln parameters.los=0.01", ("no parameter 'los'", "'loss'")
    ),
    "a parameter of another dimension": Bad(
        "simulate twin=kiln parameters.loss='1 kg'", ("'loss'", "'kg'", "'kW/K'")
    ),
    "a parameter with an unknown unit": Bad(
        "simulate twin=kiln parameters.loss='1 klg'", ("'loss'", "'klg'")
    ),
    "a parameter that is no number": Bad(
        "simulate twin=kiln parameters.loss=high", ("'loss'", "'high'", "number")
    ),
    "a parameter outside its bounds": Bad(
        "simulate twin=kiln parameters.loss=3", ("'loss'", "3", "[0.001, 0.1]")
    ),
    "a parameter that is nan": Bad("simulate twin=kiln parameters.loss=nan", ("'loss'", "nan")),
    "a parameter that is null": Bad(
        "simulate twin=kiln parameters.loss=null", ("'loss'", "number")
    ),
    "parameters that are no mapping": Bad(
        "simulate twin=kiln parameters=3", ("twin.parameters=3",)
    ),
    "an unknown state": Bad("simulate twin=kiln initial.wal=300", ("no state 'wal'", "'wall'")),
    "an initial value of another dimension": Bad(
        "simulate twin=kiln initial.wall='3 kg'", ("initial.wall", "'kg'", "'K'")
    ),
    "an initial value outside its bounds": Bad(
        "simulate twin=kiln initial.wall=9000", ("initial.wall=9000", "[200, 2000]")
    ),
    "an initial value that is nan": Bad("simulate twin=kiln initial.wall=nan", ("initial.wall",)),
    "nothing to fit": Bad("calibrate twin=kiln fit=[]", ("nothing to fit", "loss, capacity")),
    "an unknown parameter to fit": Bad("calibrate twin=kiln fit=[los]", ("'los'", "'loss'")),
    "an input to fit": Bad("calibrate twin=kiln fit=[fuel]", ("'fuel'", "loss")),
    "a parameter to fit twice": Bad("calibrate twin=kiln fit=[loss,loss]", ("'loss'", "twice")),
    "an unknown state to fit": Bad("calibrate twin=kiln fit_initial=[wal]", ("'wal'", "'wall'")),
    "one name where a list is meant": Bad("calibrate twin=kiln fit=loss", ("fit", "list")),
}
