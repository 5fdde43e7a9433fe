"""What is compiled: the steps of the stream and the index of sessions; all else is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))  # an isolated build does not have it

from models.recommendation.compiled import digest_of_source  # noqa: E402
from stream.compiled.layout import (  # noqa: E402
    MODULES,
    digests,
    layout_of_sources,
    remove_incomplete,
    remove_stale,
    render,
)
from stream.compiled.whole_build import WholeBuild  # noqa: E402

LAYOUTS = Path("build/layout")
"""What the compiled modules include. A file that is written anew makes its module be built anew."""
NOT_BUILT = "the compiled steps are not built, workers take those in Python, a third as fast: "


class BuildSteps(WholeBuild):
    """Builds all modules or leaves none: a few of them are of no use."""

    def run(self) -> None:
        """See `build_ext`."""
        super().run()
        if self.inplace and remove_incomplete(ROOT):
            self.warn(NOT_BUILT + "a C compiler with Python's headers is needed")


def extensions() -> list[Extension]:
    """What is to be compiled; nothing where Cython is absent, as without build isolation it may be."""
    try:
        from Cython.Build import cythonize
    except ImportError:
        remove_incomplete(ROOT)
        sys.stderr.write(NOT_BUILT + "Cython is needed\n")
        return []
    sources = [
        Extension(
            f"stream.compiled.{name}", [f"stream/compiled/{name}.pyx"], include_dirs=["stream/compiled"]
        )
        for name in MODULES
    ]
    digest = digest_of_source()
    for built in ROOT.glob("models/recommendation/compiled/*.so"):
        if digest.encode() not in built.read_bytes():
            built.unlink()  # from another source, whatever its age
    sources.append(
        Extension(
            "models.recommendation.compiled.sessions",
            ["models/recommendation/compiled/sessions.pyx"],
            define_macros=[("STOREPULSE_BUILT_FROM", f'"{digest}"')],
        )
    )
    made: list[Extension] = cythonize(sources, build_dir="build", include_path=[str(LAYOUTS)])
    for extension in made:
        extension.optional = True  # without a C compiler the installation goes on, see stream/batch/core.py
    return made


layout = layout_of_sources(ROOT)
LAYOUTS.mkdir(parents=True, exist_ok=True)
for name, digest in digests(layout, ROOT).items():
    included, text = LAYOUTS / f"{name}.pxi", render(layout, digest)
    if not included.exists() or included.read_text() != text:
        included.write_text(text)
remove_stale(layout, ROOT)
setup(ext_modules=extensions(), cmdclass={"build_ext": BuildSteps})
