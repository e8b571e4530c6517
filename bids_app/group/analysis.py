"""What an analysis of the group stage declares, and how it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
        Computes the result and writes no file. Raises `NotApplicableError` if the study lacks
        what it needs.
    """

    name: str
    heading: str
    analyse: Callable[[Study], Result]

    def attempt(self, study: Study) -> Result:
        """Run the analysis; whatever fails becomes a reason and does not stop the others.

        Parameters
        ----------
        study : Study

        Returns
        -------
        Result
            With a ``reason`` if the analysis is not possible; an unexpected error is also among
            the ``problems``.
        """
        try:
            return self.analyse(study)
        except NotApplicableError as error:
            return Result(reason=str(error), problems=error.problems)
        except Exception as error:
            # The first argument of an OSError is only a number.
            message = error if isinstance(error, OSError) else (*error.args, "")[0]
            reason = f"{type(error).__name__}: {message}"
            return Result(reason=reason, problems=(f"The analysis '{self.name}' failed: {reason}",))
