"""What all benchmarks share: a command's time and memory, the peers' environment, machine and versions."""

import hashlib
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

HERE = Path(__file__).parent


def _tree_memory(process: psutil.Process) -> int:
    """Resident bytes of a process and its children now."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def measured(command: list[str], environment: dict[str, str], folder: Path) -> tuple[float, int]:
    """Seconds and peak resident bytes of a command; its failure is ours."""
    started, peak, done = time.monotonic(), 0, threading.Event()
    process = subprocess.Popen(command, env=os.environ | environment, cwd=folder, stdout=subprocess.DEVNULL)

    def watch() -> None:
        nonlocal peak
        root = psutil.Process(process.pid)
        while not done.wait(0.05):
            try:
                peak = max(peak, _tree_memory(root))
            except psutil.NoSuchProcess:
                return

    threading.Thread(target=watch, daemon=True).start()
    code = process.wait()
    seconds = time.monotonic() - started
    done.set()
    if code:
        # Not the whole command: a login may be among its arguments.
        raise SystemExit(f"{' '.join(Path(word).name for word in command[:2])} failed with {code}")
    return seconds, peak


def peers_environment(folder: Path) -> Path:
    """A Python with the peers in it; made once for each version of the requirements."""
    requirements = HERE / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    python, stamp = folder / "peers" / "bin" / "python", folder / "peers" / f"installed-{digest}"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / "peers")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)], check=True)
        stamp.touch()
    return python


def peer_versions(python: Path, names: list[str]) -> dict[str, str]:
    """The versions of distributions in the peers' environment."""
    code = "import sys; from importlib.metadata import version; print(*(version(name) for name in sys.argv[1:]))"
    found = subprocess.run([str(python), "-c", code, *names], capture_output=True, text=True, check=True)
    return dict(zip(names, found.stdout.split(), strict=True))


def machine() -> str:
    """Cores, model of the processor and memory, as far as this process may use them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 2**30
    return f"{cores} cores of {_processor()}, {memory:.0f} GiB"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
