"""A figure beside what is aimed at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure and its aim: at least `aim`, or at most with `at_most`; None where nothing is aimed at."""

    name: str
    value: float
    aim: float | None
    unit: str = ""
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether the aim is met; a figure that is not a number meets none."""
        if self.aim is None:
            return True
        return self.value <= self.aim if self.at_most else self.value >= self.aim

    @property
    def words(self) -> str:
        """The aim in words, empty where there is none."""
        if self.aim is None:
            return ""
        return f"aim: at {'most' if self.at_most else 'least'} {self.aim:,g}{self.unit}"
