"""Templates and titles shared by the pages."""

from __future__ import annotations

from functools import cache

import jinja2

from bids_app.wording import counted


@cache
def template(name: str) -> jinja2.Template:
    """Load a template of a page; all values set into it are escaped.

    Parameters
    ----------
    name : str
        File in ``assets/templates``.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bids_app", "assets/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["counted"] = counted
    return environment.get_template(name)


def session_title(subject: str, session: str) -> str:
    """Name a session by its labels.

    Examples
    --------
    >>> session_title("01", "02")
    'sub-01 ses-02'
    >>> session_title("01", "")
    'sub-01'
    """
    return f"sub-{subject} ses-{session}" if session else f"sub-{subject}"
