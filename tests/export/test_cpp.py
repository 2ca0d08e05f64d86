"""The model file is usable from C++, with the program that its README shows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from twinml.export import export, load_artifact

HOME = Path(torch.__file__).parent


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ on PATH")
def test_the_cpp_example_of_the_readme_prints_the_same_numbers(tmp_path, make_fake):
    surrogate = make_fake(dtype=torch.float64, targets=("peak_beds", "cases"))
    folder = export(surrogate, tmp_path / "a").path
    code = re.search(r"```cpp\n(.*?)```", (folder / "README.md").read_text(), re.S)
    assert code is not None
    (tmp_path / "main.cpp").write_text(code[1])
    include, libraries = HOME / "include", HOME / "lib"
    build = [
        *("g++", "-std=c++17", "-O0", str(tmp_path / "main.cpp"), "-o", str(tmp_path / "main")),
        *(f"-I{include}", f"-I{include / 'torch/csrc/api/include'}"),
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}",
        *(f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-ltorch", "-ltorch_cpu", "-lc10"),
    ]
    subprocess.run(build, check=True)
    done = subprocess.run([tmp_path / "main"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = [float(word) for word in re.findall(r"\d+\.\d+", done.stdout)]
    expected = load_artifact(folder).predict({"beta": 1.8, "day": 6.0}).mean
    assert printed == pytest.approx([expected[name][0] for name in surrogate.targets], abs=1e-4)
