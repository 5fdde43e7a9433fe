"""The compiled steps of the stream; everything else about the package is in pyproject.toml."""

from Cython.Build import cythonize
from setuptools import Extension, setup

NAMES = ("packing", "records", "merge", "batch")

# Optional: on a machine without a C compiler the installation goes on without them, see stream/core.py.
extensions = [
    Extension(
        f"stream.compiled.{name}",
        [f"stream/compiled/{name}.pyx"],
        include_dirs=["stream/compiled"],
        depends=["stream/compiled/blake2b.h"],
        optional=True,
    )
    for name in NAMES
]
setup(ext_modules=cythonize(extensions, build_dir="build"))
