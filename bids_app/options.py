"""Everything the user decided, in one frozen object of named groups.

Functions take the group that they need: what aligns does not know which participants were
requested.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Level = Literal["participant", "group", "check"]
Rule = Literal["union", "majority", "mean", "staple"]
SignalForm = Literal["exact", "small-angle"]
DecayFit = Literal["wls", "ols"]
SpoilingCorrection = Literal["v2k", "v3star", "NHResFIL", "FIL_v3star", "FIL_7T"]

# In filters: a value for every image that has the entity, and whether values are patterns.
ANY_VALUE = "*"
REGEX_SEARCH = "regex_search"


@dataclass(frozen=True)
class Folders:
    """Where data come from and go to; all paths are absolute.

    Attributes
    ----------
    bids_dir, output_dir : Path
    derivatives : mapping of str to Path
        Finished results by name, for example ``manual``.
    work_dir : Path or None
        Where scratch files go; None is the system's temporary folder.
    """

    bids_dir: Path
    output_dir: Path
    derivatives: Mapping[str, Path] = field(default_factory=dict)
    work_dir: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which sessions and scans are processed.

    Attributes
    ----------
    participant_labels, session_labels : tuple of str or None
        Without ``sub-`` and ``ses-``; None selects all.
    exclude_participant_labels : tuple of str
        Taken away from the selection.
    bids_filters : mapping
        Query name (``t1w``) to pybids entities and the values they must have; None: they must not
        be there, `ANY_VALUE`: they must.
    bids_database_dir : Path or None
        Where pybids keeps its index for later runs; None keeps none.
    skip_bids_validation : bool
        Whether a folder without a proper ``dataset_description.json`` is accepted.
    """

    participant_labels: tuple[str, ...] | None = None
    session_labels: tuple[str, ...] | None = None
    exclude_participant_labels: tuple[str, ...] = ()
    bids_filters: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    bids_database_dir: Path | None = None
    skip_bids_validation: bool = False


@dataclass(frozen=True, kw_only=True)
class Methods:
    """How thalami are segmented and masks are fused.

    Attributes
    ----------
    names : tuple of str
        Segmentation methods, built in or other programs; ``thalnet`` comes first, since others
        depend on its brain mask.
    reference : str
        Name of the derivative that holds the reference labels of the group stage.
    flip_averaging : bool
        Whether thalnet averages its probabilities with those of the mirrored images.
    longitudinal : bool
        Whether each subject's sessions are also measured in one common space.
    ensembles : tuple of str
        Rules by which the masks of several contrasts are fused, keys of
        ``bids_app.segmentation.fusion.RULES``.
    envelope : str
        Method whose mask restricts MindGlide's deep grey matter label.
    output_spaces : tuple of str
        Templates in whose space results are written as well, keys of
        ``bids_app.alignment.templates.TEMPLATES``.
    """

    names: tuple[str, ...] = ("thalnet",)
    reference: str = "manual"
    flip_averaging: bool = True
    longitudinal: bool = False
    ensembles: tuple[Rule, ...] = ("union", "majority")
    envelope: str = "first"
    output_spaces: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Programs:
    """How other programs are run.

    Attributes
    ----------
    images : mapping of str to str
        Container image by program; those without one run what is on the PATH.
    weights : mapping of str to Path
        Network weights by program.
    gpu : bool
        Whether they may use a GPU.
    fs_license_file : Path or None
        FreeSurfer's licence.
    requested : tuple of str
        Programs that segment nothing and were requested by an option of their own, for example
        ``flirt``.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, Path] = field(default_factory=dict)
    gpu: bool = False
    fs_license_file: Path | None = None
    requested: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Maps:
    """How quantitative maps are computed.

    Attributes
    ----------
    signal_form : {'exact', 'small-angle'}
        Form of the signal equation of spoiled gradient echoes.
    gibbs_unringing : bool
        Whether Gibbs ringing is removed from spoiled gradient echoes before they are fitted.
    decay_fit : {'wls', 'ols'}
        Weighted or ordinary least squares over the echoes.
    spoiling_correction : str or None
        Key of ``bids_app.qmri.spoiling.COEFFICIENTS``; None corrects nothing.
    """

    signal_form: SignalForm = "exact"
    gibbs_unringing: bool = False
    decay_fit: DecayFit = "wls"
    spoiling_correction: SpoilingCorrection | None = None


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What the group stage computes.

    Attributes
    ----------
    file : Path or None
        The analysis file; None is the default one.
    calibrate : bool
        Whether volumes calibrated to the reference labels are added.
    calibration_file : Path or None
        A stored calibration to apply instead of one fitted in this run.
    qc_files : tuple of Path
        Tables of ratings by eye, as the page ``qc.html`` exports them.
    """

    file: Path | None = None
    calibrate: bool = False
    calibration_file: Path | None = None
    qc_files: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a run may use.

    Attributes
    ----------
    nprocs, omp_nthreads : int or None
        Processors in total and per session; None chooses.
    memory_gib : float or None
        Upper bound for all sessions together; None is the memory available.
    """

    nprocs: int | None = None
    omp_nthreads: int | None = None
    memory_gib: float | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a run proceeds.

    Attributes
    ----------
    dry_run, reports_only, provenance : bool
        As the flags of the same names.
    verbosity : int
        0 for progress, 1 for details, 2 for debugging.
    """

    dry_run: bool = False
    reports_only: bool = False
    provenance: bool = False
    verbosity: int = 0


@dataclass(frozen=True, kw_only=True)
class Options:
    """The parsed command line.

    Attributes
    ----------
    folders : Folders
    levels : tuple of {'participant', 'group', 'check'}
        In the order in which they run.
    selection : Selection
    methods : Methods
    programs : Programs
    maps : Maps
    analysis : Analysis
    resources : Resources
    run : Run
    """

    folders: Folders
    levels: tuple[Level, ...]
    selection: Selection = field(default_factory=Selection)
    methods: Methods = field(default_factory=Methods)
    programs: Programs = field(default_factory=Programs)
    maps: Maps = field(default_factory=Maps)
    analysis: Analysis = field(default_factory=Analysis)
    resources: Resources = field(default_factory=Resources)
    run: Run = field(default_factory=Run)
