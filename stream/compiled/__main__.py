"""`python -m stream.compiled`: removes compiled modules that do not fit, and says what workers take."""

from stream.compiled.guard import CompiledStepsError, import_compiled
from stream.compiled.layout import layout_of_sources, remove_incomplete, remove_stale


def main() -> int:
    """The exit code: 1 where workers take the steps in Python."""
    remove_stale(layout_of_sources())
    remove_incomplete()
    try:
        import_compiled()
    except CompiledStepsError as exc:
        print(f"{exc}: workers use the steps in Python, a third as fast; see `storepulse doctor`")
        return 1
    print("the compiled steps are built from the current sources")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
