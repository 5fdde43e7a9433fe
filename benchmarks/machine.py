"""One line about the machine and the versions a figure belongs to."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_PACKAGES = (
    "faust-streaming",
    "aiokafka",
    "redis",
    "orjson",
    "onnxruntime",
    "torch",
    "bytewax",
    "quixstreams",
)


def describe_machine(redis_version: str | None = None) -> dict[str, str]:
    """CPU model, cores, memory, system load at the start, and versions."""
    found = {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "memory_gb": f"{psutil.virtual_memory().total / 2**30:.0f}",
        "load": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
    }
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if redis_version is not None:
        found["redis-server"] = redis_version
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
