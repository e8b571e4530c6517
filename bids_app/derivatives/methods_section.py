"""The methods text and the works that it cites, from methods used, steps taken and programs run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bids_app import __version__
from bids_app.derivatives.names import LONGITUDINAL
from bids_app.derivatives.references import REFERENCES
from bids_app.derivatives.steps import Step
from bids_app.options import Options
from bids_app.programs.registry import AUXILIARY_PROGRAMS, PROGRAMS, READABLE_METHODS
from bids_app.run.stamps import Stamp
from bids_app.segmentation.methods import BUILT_IN, built_in

_PARAGRAPH = f"""\
Thalami were segmented with thalbids {__version__}. Its network thalnet, a residual 3D U-Net \
trained on images synthesised from label maps (domain randomisation after Billot et al. 2023, \
architecture after Opfer et al. 2022), located the brain at 3 mm and segmented the left and right \
thalamus at 1 mm, by default as the mean over the image and its mirror image. Volumes are voxel \
counts times voxel volume; volumes from summed probabilities are reported in addition, and their \
95 % intervals are proportional to the volume with probabilities of 0.25–0.75, calibrated on \
simulated heads. The design of the study follows Ibrahim et al. 2026."""
_CITATIONS = ("billot2023", "ibrahim2026", "opfer2022")

_SESSION_STEPS = """\
Session-specific steps and their references are given on the session pages, and here after \
`thalbids ... group` has been run.
"""


def other_programs(stamp: Stamp) -> list[str]:
    """Name the programs that results were made with, other than those that segment."""
    return [
        name
        for name, program in AUXILIARY_PROGRAMS.items()
        if program.parameter in stamp.parameters
    ]


def methods_text(used: Iterable[str], steps: Iterable[Step] = ()) -> str:
    """Write the methods text.

    Parameters
    ----------
    used : iterable of str
        Names of methods, as in the tables, and of other programs.
    steps : iterable of Step
        In the order in which they are reported.

    Returns
    -------
    str
        A paragraph on thalnet and the other methods, with the licences of programs, and one on
        the steps, if there are any.
    """
    methods = " ".join([_PARAGRAPH, *(sentence for sentence, _ in _in_addition(used))])
    processing = " ".join(step.sentence for step in steps)
    return methods + "\n" + (f"\n{processing}\n" if processing else "")


def works(used: Iterable[str], steps: Iterable[Step] = (), citations: Iterable[str] = ()) -> str:
    """List the works that a methods text cites, each once, separated by empty lines.

    Parameters
    ----------
    used : iterable of str
        Names of methods, as in the tables, and of other programs.
    steps : iterable of Step
    citations : iterable of str
        Keys of ``REFERENCES`` that are cited in addition.
    """
    keys = {*_CITATIONS, *citations}
    for _, works_of_method in _in_addition(used):
        keys.update(works_of_method)
    for step in steps:
        keys.update(step.citations)
    return "\n\n".join(sorted(REFERENCES[key] for key in keys)) + "\n"


def planned_methods(options: Options) -> str:
    """Write ``CITATION.md`` before any session is measured.

    Parameters
    ----------
    options : Options
        Methods and programs that were requested.
    """
    used = (*options.methods.names, *options.folders.derivatives, *options.programs.requested)
    return f"{citation_page(methods_text(used), works(used))}\n{_SESSION_STEPS}"


def citation_page(methods: str, references: str) -> str:
    """Put a methods text and its list of works on one page, in Markdown."""
    return f"# Methods\n\n{methods}\n## References\n\n{references}"


def _in_addition(used: Iterable[str]) -> list[tuple[str, Sequence[str]]]:
    """Sentences and citations of methods other than thalnet, and of programs."""
    names = dict.fromkeys(name.removesuffix(LONGITUDINAL) for name in used)
    declared = [*PROGRAMS.values(), *READABLE_METHODS.values(), *map(built_in, BUILT_IN)]
    texts = {each.name: (each.sentence, each.citations) for each in declared if each.sentence}
    return [texts[name] for name in names if name in texts]
