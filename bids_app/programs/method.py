"""The declaration of a program: everything that thalbids knows of it, in one place.

The command line, the plan, the predicted cost, the stamps and the methods text are derived from the
declarations. As every start of thalbids imports all of them, this module and theirs import nothing
heavy: functions import what they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bids_app.segmentation.nuclei import Group
from bids_app.segmentation.sides import LEFT, RIGHT
from bids_app.tools.call import Bind, Call

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Labels of FreeSurfer, which FSL, FastSurfer and SynthSeg use too.
FREESURFER_LABELS: Mapping[int, int] = {10: LEFT, 49: RIGHT}
# What a label without side becomes.
BOTH = 3
# Folders of a job inside containers.
INPUTS, OUTPUTS = "/thalbids/in", "/thalbids/out"


@dataclass(frozen=True)
class Workload:
    """The images of a session that programs can be applied to.

    Attributes
    ----------
    anchors : tuple of str
        Contrast of each scan that is measured.
    others : tuple of str
        Contrasts that are aligned to each anchor.
    has_baseline : bool
        Whether the subject has an earlier session to compare with.
    """

    anchors: tuple[str, ...]
    others: tuple[str, ...] = ()
    has_baseline: bool = False


@dataclass(frozen=True, kw_only=True)
class Program:
    """What programs have in common, whether they segment or not.

    Attributes
    ----------
    name : str
        As in options, tables and file names.
    title : str
        As in sentences.
    executable : str or None
        Name to be found on the PATH; None for a program that is available as an image only.
    image : str
        A container image that holds it.
    seconds : float
        Approximate duration of one run on one processor, from the documentation of the program.
    memory_gib : float
        Approximate memory of one run.
    sentence : str
        Sentence for the methods text, with the licence.
    citations : tuple of str
        Keys of the works to cite, in ``bids_app.derivatives.references``.
    takes_spaces : bool
        Whether it works in folders whose names contain spaces.
    install : str
        How a package index installs it, as in sentences; empty if none does.
    """

    name: str
    title: str
    executable: str | None
    image: str
    seconds: float
    memory_gib: float
    sentence: str
    citations: tuple[str, ...]
    takes_spaces: bool = True
    install: str = ""

    @property
    def parameter(self) -> str:
        """Parameter of a stamp that records how the program is run."""
        return parameter_of(self.name)


def parameter_of(name: str) -> str:
    """Name the parameter of a stamp that records how a program is run.

    Examples
    --------
    >>> parameter_of("first")
    'image of first'
    """
    # Records keep it: a change of the text would measure all sessions again.
    return f"image of {name}"


@dataclass(frozen=True, kw_only=True)
class AuxiliaryProgram(Program):
    """A program that segments nothing, requested by an option of its own, ``--NAME``.

    Attributes
    ----------
    help : str
        Help text of the option.
    runs : function
        Number of its runs in a session.
    readable : bool
        Whether finished results can be given with ``-d NAME=PATH``; it is not run then.
    """

    help: str
    runs: Callable[[Workload], int]
    readable: bool = False


@dataclass(frozen=True, kw_only=True)
class Job:
    """One image to be segmented, in folders of its own.

    Attributes
    ----------
    image : Path
        NIfTI file with equal qform and sform; alone in its folder but for ``others``.
    others : tuple of Path
        Further contrasts of the same head on the same grid.
    contrasts : tuple of str
        Contrast of ``image`` and of each of ``others``.
    folder : Path
        Empty and writable: outputs, and the home folder of the program.
    contained : bool
        Whether the program runs in a container.
    threads : int
    gpu : bool
    weights : Path or None
        Network weights, for programs that do not ship their own.
    """

    image: Path
    folder: Path
    contained: bool
    threads: int = 1
    gpu: bool = False
    weights: Path | None = None
    others: tuple[Path, ...] = ()
    contrasts: tuple[str, ...] = ("T1w",)

    @property
    def binds(self) -> tuple[Bind, Bind]:
        """The folder of the image, and the writable one of the outputs."""
        return (
            Bind(self.image.parent, INPUTS),
            Bind(self.folder, OUTPUTS, writable=True),
        )


def written(name: str) -> Callable[[Job], Path]:
    """Return the output of a program that writes its labels under a fixed name.

    Parameters
    ----------
    name : str
        Path within the folder of the job.
    """
    return lambda job: job.folder / name


@dataclass(frozen=True)
class Weights:
    """Network weights that can be given with ``--tool-weights NAME=PATH``.

    Attributes
    ----------
    description : str
        What the path is.
    required : str
        Path below it that must exist; an empty text if the program ships weights of its own.
    """

    description: str
    required: str = ""


@dataclass(frozen=True, kw_only=True)
class SubjectLabels:
    """One segmentation in the folder of a subject.

    Attributes
    ----------
    images : tuple of str
        Patterns of the label image below that folder. The first that any file fits counts, and of
        several files the last by name, which is of the latest version.
    statistics : str
        Table of volumes below that folder; an empty text if there is none in FreeSurfer's format.
    tables : tuple of str
        Patterns of further tables of volumes below that folder, which are not read: without the
        label image none is used.
    counts_within : float
        Share by which the numbers of voxels in that table may differ from those of the labels.
    labels : mapping of int to int
        Labels to 1 (left) and 2 (right).
    groups : mapping of int to Group
        Labels of nuclei, whose union is the thalamus, with their groups; empty for other labels.
    suffix : str
        What follows the name of the program in that of the method.
    probabilities : tuple of str
        Patterns of the images of the probability of the left and of the right thalamus, from the
        folder of the label image; empty if the program writes none.
    """

    images: tuple[str, ...]
    statistics: str = ""
    tables: tuple[str, ...] = ()
    # Parcellations take a few voxels from the aseg that the table counts; tables of other heads
    # differ by more.
    counts_within: float = 0.01
    labels: Mapping[int, int] = field(default_factory=lambda: FREESURFER_LABELS)
    groups: Mapping[int, Group] = field(default_factory=dict)
    suffix: str = ""
    probabilities: tuple[str, ...] = ()


@dataclass(frozen=True)
class NucleiMasks:
    """Finished results in a mask for each nucleus, in folders for each side of each subject.

    Attributes
    ----------
    groups : mapping of str to Group
        Names of the masks without extension, with their groups. They do not overlap, and their
        union is the thalamus.
    folders : mapping of int to str
        By side, the folder of its masks.
    """

    groups: Mapping[str, Group]
    folders: Mapping[int, str]


@dataclass(frozen=True)
class SubjectsDirectory:
    """Finished results in a folder for each subject, as FreeSurfer arranges them.

    Attributes
    ----------
    segmentations : tuple of SubjectLabels
        What the folder of a subject can hold, the program's own segmentation first.
    timepoint : str
        Name of a folder in that of a subject, with a place for the number of the session among
        all of the subject; empty for a program that numbers none.
    """

    segmentations: tuple[SubjectLabels, ...]
    timepoint: str = ""


@dataclass(frozen=True)
class LabelFiles:
    """Finished results in files whose names, or those of the folders above, identify the scan.

    Attributes
    ----------
    endings : tuple of str
        How the names of label images end, before the extension. With an empty ending the name must
        end with the contrast.
    folders : tuple of str
        Folders to search; the first that holds results counts.
    """

    endings: tuple[str, ...]
    folders: tuple[str, ...] = ("",)


@dataclass(frozen=True, kw_only=True)
class FinishedMethod:
    """A program that is never run; its finished results are read.

    Attributes
    ----------
    name, title, sentence, citations
        As those of `Program`.
    contrasts : tuple of str
        Contrasts that the program can segment.
    layout : NucleiMasks
        Where its results lie that are given with ``-d NAME=PATH``.
    """

    name: str
    title: str
    sentence: str
    citations: tuple[str, ...]
    contrasts: tuple[str, ...]
    layout: NucleiMasks

    def segments(self, contrast: str) -> bool:
        """Return whether the program can segment a contrast."""
        return contrast in self.contrasts


@dataclass(frozen=True, kw_only=True)
class ExternalMethod(Program):
    """A program that segments images of one head, requested by ``--methods NAME``.

    Attributes
    ----------
    contrasts : tuple of str or None
        Contrasts that the program can segment; None: any.
    labels : mapping of int to int
        Labels of the program to 1 (left), 2 (right) or `BOTH`.
    layout : SubjectsDirectory or LabelFiles
        Where finished results lie that are given with ``-d NAME=PATH``.
    call : function
        Returns the run of the program.
    output : function
        Returns the path of the label image after the run; raises BadDataError if there are no
        usable labels.
    measures : function or None
        Reads left and right volume free of voxel quantisation, (2,) float64, and intracranial
        volume, in mm³, from the program's own statistics in the folder of the job.
    probabilities : tuple of str
        Patterns of the images of the probability of the left and of the right thalamus in the
        folder of the job, on the grid of its image; empty if it writes none.
    joint : bool
        Whether it takes all contrasts of a session at once where there are several.
    brain_only : bool
        Whether it expects a brain without skull.
    needs_licence : bool
        Whether it needs FreeSurfer's licence file.
    keeps_grid : bool
        Whether it writes its labels on the grid of its image.
    needs_gpu : bool
    weights : Weights or None
    """

    contrasts: tuple[str, ...] | None
    labels: Mapping[int, int]
    layout: SubjectsDirectory | LabelFiles
    call: Callable[[Job], Call]
    output: Callable[[Job], Path]
    measures: Callable[[Path], tuple[npt.NDArray[np.float64], float]] | None = None
    probabilities: tuple[str, ...] = ()
    joint: bool = False
    brain_only: bool = False
    needs_licence: bool = False
    keeps_grid: bool = False
    needs_gpu: bool = False
    weights: Weights | None = None

    @property
    def needs_envelope(self) -> bool:
        """Whether its label is larger than the thalami and is restricted by another mask."""
        return BOTH in self.labels.values()

    def segments(self, contrast: str) -> bool:
        """Return whether the program can segment a contrast."""
        return self.contrasts is None or contrast in self.contrasts

    def runs(self, workload: Workload) -> int:
        """Count its runs in a session: for each image that it can segment, and for all at once."""
        # Other contrasts are aligned to each anchor, and segmented on the grid of each.
        together = [
            sum(map(self.segments, (anchor, *workload.others))) for anchor in workload.anchors
        ]
        return sum(together) + self.joint * sum(count > 1 for count in together)
