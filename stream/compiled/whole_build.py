"""A build in which every compiled module takes its place as a whole; only setup.py imports this."""

import os
from pathlib import Path
from typing import Any

from setuptools import Extension  # type: ignore[import-untyped]
from setuptools.command.build_ext import build_ext  # type: ignore[import-untyped]


class WholeBuild(build_ext):  # type: ignore[misc]  # setuptools has no stubs
    """Links and copies beside the place of a module, then moves it there.

    What a linker or a copy that was killed leaves in the place is newer than the sources: it would pass
    as built for ever.
    """

    def build_extension(self, ext: Extension) -> None:
        """See `build_ext`."""
        compiler: Any = self.compiler
        link = compiler.link_shared_object

        def link_whole(objects: list[str], output: str, *args: Any, **kwargs: Any) -> None:
            link(objects, f"{output}.part", *args, **kwargs)
            os.replace(f"{output}.part", output)

        compiler.link_shared_object = link_whole
        try:
            super().build_extension(ext)
        finally:
            compiler.link_shared_object = link

    def copy_file(self, infile: Any, outfile: Any, *args: Any, **kwargs: Any) -> tuple[Any, bool]:
        """See `Command`; copies in any case."""
        part = Path(f"{outfile}.part")
        part.unlink(missing_ok=True)
        super().copy_file(infile, str(part), *args, **kwargs)
        part.replace(outfile)
        return outfile, True
