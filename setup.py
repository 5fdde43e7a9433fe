"""The compiled steps of the stream; everything else about the package is in pyproject.toml."""

from Cython.Build import cythonize
from setuptools import Extension, setup

sources = [
    Extension(f"stream.compiled.{name}", [f"stream/compiled/{name}.pyx"], include_dirs=["stream/compiled"])
    for name in ("packing", "records", "merge", "new_events", "carts", "visitors", "batch")
]
extensions = cythonize(sources, build_dir="build")
for extension in extensions:
    extension.optional = True  # without a C compiler the installation goes on, see stream/batch/core.py
setup(ext_modules=extensions)
