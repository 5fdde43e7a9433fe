"""A compiled module whose build was killed is built the next time, by the real compiler and linker."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUP = """
import sys
sys.path.insert(0, {root!r})
from setuptools import Extension, setup
from stream.compiled.whole_build import WholeBuild
small = Extension("small", ["small.c"])
setup(name="small", py_modules=[], ext_modules=[small], cmdclass={{"build_ext": WholeBuild}})
"""
SOURCE = """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "small"};
PyMODINIT_FUNC PyInit_small(void) { return PyModule_Create(&module); }
"""
KILLED = """#!/bin/sh
for word; do case $last in -o) : > "$word";; esac; last=$word; done
kill -9 $PPID
"""
"""A linker that has begun to write when all is killed."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    if shutil.which("cc") is None or not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("a C compiler with Python's headers is needed")
    (tmp_path / "setup.py").write_text(SETUP.format(root=str(ROOT)))
    (tmp_path / "small.c").write_text(SOURCE)
    return tmp_path


def build(project: Path, **env: str) -> int:
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    return subprocess.run(command, cwd=project, env=path | env, timeout=120, check=False).returncode


def is_whole(project: Path) -> bool:
    done = subprocess.run([sys.executable, "-c", "import small"], cwd=project, timeout=60, check=False)
    return done.returncode == 0


def test_a_module_whose_linker_was_killed_is_built_the_next_time(project: Path) -> None:
    linker = project / "killed"
    linker.write_text(KILLED)
    linker.chmod(0o755)
    assert build(project, LDSHARED=str(linker)) < 0
    assert build(project) == 0
    assert is_whole(project)


def test_a_module_whose_copy_was_cut_off_is_copied_again(project: Path) -> None:
    assert build(project) == 0
    (built,) = project.glob("small*.so")
    built.write_bytes(built.read_bytes()[:100])
    assert not is_whole(project)
    assert build(project) == 0
    assert is_whole(project)
