"""Run the stages on digits and a table of operations natively, under a hostile environment, and on emulated CPUs.

`python tests/emulated_cpus.py` compares every output and every operation (see `operations`). It needs qemu-x86_64
(Debian: qemu-user) and some minutes on two quiet cores. `--native` leaves the emulated CPUs out.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPERATION = "operation "
FOLDERS = ("models", "metrics", "figures", "kept")
# Edits of params.yaml, by the folder in which their outputs are kept: the pieces of every family.
PIECES = {
    "adam": {"optimizer: sgd": "optimizer: adam"},
    "variational": {
        "name: linear": "name: mlp",
        "name: none # none | l1": "name: variational #",
        "loss: mse": "loss: bce",
    },
    "denoising": {"name: linear": "name: convolutional", "name: none # none | g": "name: gaussian # g"},
    "sparse": {"name: none # none | l1": "name: top_k #", "loss: mse": "loss: bce"},
    "contractive": {"name: linear": "name: mlp", "name: none # none | l1": "name: contractive #", "relu #": "gelu #"},
}
# One process for all stages: under emulation torch takes more than a minute to import.
STAGES = f"""
import importlib, pathlib, shutil, sys
sys.path[:0] = ["src", "stages", "."]
text = pathlib.Path("params.yaml").read_text()
for name, edits in ({PIECES} | {{"": {{}}}}).items():
    edited = text
    for old, new in edits.items():
        assert old in text, old
        edited = edited.replace(old, new)
    pathlib.Path("params.yaml").write_text(edited)
    stages = ["train"] if name == "adam" else ["pca", "train", "evaluate", "render", "report"]
    for stage in stages:
        getattr(importlib.import_module(stage), stage).main([], standalone_mode=False)
    if stages[-1] == "report":
        pathlib.Path("kept", name).mkdir(parents=True, exist_ok=True)
        shutil.copy("report.html", pathlib.Path("kept", name))
    if name:
        for folder in ("metrics", "figures", "models"):
            if pathlib.Path(folder).exists():
                shutil.copytree(folder, f"kept/{{name}}/{{folder}}")
        shutil.rmtree("figures", ignore_errors=True)
import contextlib, decoded, operations
with open("operations.txt", "w") as file, contextlib.redirect_stdout(file):
    operations.main()
    decoded.main()
"""
CPUS = ("Haswell", "Skylake-Client", "EPYC", "EPYC-Rome")
HOSTILE = {
    "ATEN_CPU_CAPABILITY": "default",
    "DNNL_DEFAULT_FPMATH_MODE": "BF16",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "GOMP_SPINCOUNT": "INFINITE",
    "GOTO_NUM_THREADS": "2",
    "MKL_CBWR": "AUTO",
    "MKL_DEBUG_CPU_TYPE": "5",
    "MKL_DYNAMIC": "FALSE",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "MKL_NUM_THREADS": "2",
    "MKL_THREADING_LAYER": "GNU",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
    "OMP_DYNAMIC": "TRUE",
    "OMP_NUM_THREADS": "2",
    "OMP_SCHEDULE": "dynamic",
    "ONEDNN_DEFAULT_FPMATH_MODE": "ANY",
    "ONEDNN_MAX_CPU_ISA": "ALL",
    "OPENBLAS_CORETYPE": "Prescott",
    "OPENBLAS_L2_SIZE": "128",
    "OPENBLAS_NUM_THREADS": "2",
    "OPENBLAS_THREAD_TIMEOUT": "30",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
}


def main() -> None:
    """Print a line per output; exit with 1 if any differs anywhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--native", action="store_true", help="leave the emulated CPUs out")
    variants: dict[str, tuple[list[str], dict[str, str]]] = {"native": ([], {}), "hostile environment": ([], HOSTILE)}
    if not parser.parse_args().native:
        emulator = shutil.which("qemu-x86_64") or sys.exit("qemu-x86_64 not found; apt-get install qemu-user")
        for cpu in CPUS:
            variants[cpu] = ([str(emulator), "-cpu", cpu], {})
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "start"
        prepare(start)
        for name in variants:
            shutil.copytree(start, Path(folder) / name)
        with ThreadPoolExecutor(max_workers=2) as pool:
            futures = {name: pool.submit(outputs, Path(folder) / name, *variants[name]) for name in variants}
        found = {name: future.result() for name, future in futures.items()}
    expected = found["native"]
    differences = 0
    for output, digest in expected.items():
        others = [name for name in found if found[name].get(output) != digest]
        differences += bool(others)
        if others or not output.startswith(OPERATION):
            print(f"{output}: {digest[:16]} {'differs: ' + ', '.join(others) if others else 'the same everywhere'}")
    operations = sum(output.startswith(OPERATION) for output in expected)
    print(f"{len(expected) - operations} outputs, {operations} operations, {', '.join(found)}: {differences} differ")
    sys.exit(bool(differences) or any(outputs.keys() != expected.keys() for outputs in found.values()))


def prepare(folder: Path) -> None:
    """A workspace on digits with a short training."""
    for name in ("src", "stages", "data/sets"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "tests/operations.py", "tests/decoded.py"):
        shutil.copy(ROOT / name, folder)
    text = (ROOT / "params.yaml").read_text()
    small = {"mnist": "digits", "epochs: 20": "epochs: 2", "every: 1000": "every: 20", "[512, 256]": "[100, 37]"}
    for old, new in small.items():
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / "params.yaml").write_text(text)
    subprocess.run([sys.executable, "stages", "download"], cwd=folder, check=True)


def outputs(folder: Path, emulator: list[str], environment: dict[str, str]) -> dict[str, str]:
    """SHA-256 of all stages' outputs and of all operations, run by `emulator` with `environment` on the caller's."""
    command = [*emulator, sys.executable, "-W", "ignore", "-c", STAGES]
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True)
    files = sorted(path for name in FOLDERS for path in (folder / name).rglob("*.*"))
    hashes = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    rows = [line.split("  ", 1) for line in (folder / "operations.txt").read_text().splitlines()]
    return hashes | {f"{OPERATION}{name}": digest for digest, name in rows}


if __name__ == "__main__":
    main()
