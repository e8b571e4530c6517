"""What an analysis of the group stage declares, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bids_app.group.result import NotApplicableError, Result
from bids_app.group.study import Study


@dataclass(frozen=True)
class Analysis:
    """An analysis of the group stage.

    Attributes
    ----------
    name : str
        Name in the analysis file and in ``group/analyses.tsv``; also that of its module.
    heading : str
        Heading of its figures and tables on the page.
    analyse : callable
        Computes the result from a `Study` and writes no file. Raises `NotApplicableError` if the
        study lacks what it needs.
    of_results : bool
        Whether it summarises the other analyses, whose results are its second argument.
    """

    name: str
    heading: str
    analyse: Callable[..., Result]
    of_results: bool = False

    def attempt(self, study: Study, others: Mapping[str, Result] = MappingProxyType({})) -> Result:
        """Run the analysis; whatever fails becomes a reason and does not stop the others.

        Parameters
        ----------
        study : Study
        others : mapping of str to Result
            Results of other analyses by their names; only a summary needs them.

        Returns
        -------
        Result
            With a ``reason`` if the analysis is not possible; an unexpected error is also among
            the ``problems``.
        """
        try:
            return self.analyse(study, others) if self.of_results else self.analyse(study)
        except NotApplicableError as error:
            return Result(reason=str(error), problems=error.problems)
        except Exception as error:
            # The first argument of an OSError is only a number.
            message = error if isinstance(error, OSError) else (*error.args, "")[0]
            reason = f"{type(error).__name__}: {message}"
            return Result(reason=reason, problems=(f"The analysis '{self.name}' failed: {reason}",))


def attempt_all(analyses: Sequence[Analysis], study: Study) -> Iterator[tuple[Analysis, Result]]:
    """Run analyses in order, those that summarise the others last.

    Yields
    ------
    analysis : Analysis
    result : Result
    """
    results: dict[str, Result] = {}
    for analysis in sorted(analyses, key=lambda each: each.of_results):
        results[analysis.name] = analysis.attempt(study, results)
        yield analysis, results[analysis.name]
