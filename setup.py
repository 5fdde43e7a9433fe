"""The compiled steps of the stream; everything else about the package is in pyproject.toml."""

import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))  # an isolated build does not have it

from stream.compiled.layout import MODULES, digests, layout_of_sources, remove_stale, render  # noqa: E402

LAYOUTS = Path("build/layout")
"""What the compiled modules include. A file that is written anew makes its module be built anew."""

layout = layout_of_sources(ROOT)
LAYOUTS.mkdir(parents=True, exist_ok=True)
for name, digest in digests(layout, ROOT).items():
    included, text = LAYOUTS / f"{name}.pxi", render(layout, digest)
    if not included.exists() or included.read_text() != text:
        included.write_text(text)
remove_stale(layout, ROOT)

sources = [
    Extension(f"stream.compiled.{name}", [f"stream/compiled/{name}.pyx"], include_dirs=["stream/compiled"])
    for name in MODULES
]
extensions = cythonize(sources, build_dir="build", include_path=[str(LAYOUTS)])
for extension in extensions:
    extension.optional = True  # without a C compiler the installation goes on, see stream/batch/core.py
setup(ext_modules=extensions)
