"""Everything the user decided, in one frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Level = Literal["participant", "group"]
Rule = Literal["union", "majority", "mean", "staple"]


@dataclass(frozen=True)
class Options:
    """The parsed command line.

    Attributes
    ----------
    bids_dir, output_dir : Path
        Absolute.
    levels : tuple of {'participant', 'group'}
        In the order in which they run.
    participant_labels, session_labels : tuple of str or None
        Without ``sub-`` and ``ses-``; None selects all.
    exclude_participant_labels : tuple of str
        Taken away from the selection.
    bids_filters : mapping
        Query name (``t1w``) to pybids entities and the values they must have.
    bids_database_dir : Path or None
        Where pybids keeps its index for later runs; None keeps none.
    derivatives : mapping of str to Path
        Finished results by name, for example ``manual``.
    analysis_file : Path or None
        What the group stage computes; None is the file that is shipped.
    calibrate : bool
        Whether the group stage adds volumes calibrated to the reference labels.
    calibration_file : Path or None
        A stored calibration to apply instead of one fitted in this run.
    methods : tuple of str
        Segmentation methods, keys of ``METHODS`` and ``EXTERNAL`` in
        ``bids_app.segmentation.methods``; ``thalnet`` comes first, as others rest on its brain
        mask.
    tool_images : mapping of str to str
        Container image by method or program; those without one run what is on the PATH.
    tool_weights : mapping of str to Path
        Network weights by method.
    tool_gpu : bool
        Whether external programs may use a GPU.
    fs_license_file : Path or None
        FreeSurfer's licence.
    envelope : str
        Method whose mask cuts the thalami out of MindGlide's deep grey matter.
    flirt : bool
        Whether contrasts are aligned by FSL's FLIRT first.
    siena : bool
        Whether FSL's SIENA is run from each subject's first session to the later ones.
    flip_averaging : bool
        Whether thalnet averages its outline with that of the mirrored images.
    longitudinal : bool
        Whether each subject's sessions are also measured in one common space.
    ensembles : tuple of str
        Rules by which the masks of several contrasts are fused, keys of
        ``bids_app.segmentation.fusion.RULES``.
    signal_form : {'exact', 'small-angle'}
        Of the signal equation of spoiled gradient echoes.
    gibbs_unringing : bool
        Whether ringing is removed from spoiled gradient echoes before they are fitted.
    decay_fit : {'wls', 'ols'}
        Weighted or ordinary least squares over the echoes.
    spoiling_correction : str or None
        Key of ``bids_app.qmri.spoiling.COEFFICIENTS``; None corrects nothing.
    work_dir : Path or None
        Where scratch files go; None is the system's temporary folder.
    nprocs, omp_nthreads : int or None
        Processors in all and per session; None chooses.
    memory_gib : float or None
        Upper bound for all sessions together; None is the memory available.
    skip_bids_validation, dry_run, reports_only : bool
        As the flags of the same names.
    verbosity : int
        0 for progress, 1 for details, 2 for debugging.
    """

    bids_dir: Path
    output_dir: Path
    levels: tuple[Level, ...]
    participant_labels: tuple[str, ...] | None = None
    session_labels: tuple[str, ...] | None = None
    exclude_participant_labels: tuple[str, ...] = ()
    bids_filters: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    bids_database_dir: Path | None = None
    derivatives: Mapping[str, Path] = field(default_factory=dict)
    analysis_file: Path | None = None
    calibrate: bool = False
    calibration_file: Path | None = None
    methods: tuple[str, ...] = ("thalnet",)
    tool_images: Mapping[str, str] = field(default_factory=dict)
    tool_weights: Mapping[str, Path] = field(default_factory=dict)
    tool_gpu: bool = False
    fs_license_file: Path | None = None
    envelope: str = "first"
    flirt: bool = False
    siena: bool = False
    flip_averaging: bool = True
    longitudinal: bool = False
    ensembles: tuple[Rule, ...] = ("union", "majority")
    signal_form: Literal["exact", "small-angle"] = "exact"
    gibbs_unringing: bool = False
    decay_fit: Literal["wls", "ols"] = "wls"
    spoiling_correction: str | None = None
    work_dir: Path | None = None
    nprocs: int | None = None
    omp_nthreads: int | None = None
    memory_gib: float | None = None
    skip_bids_validation: bool = False
    dry_run: bool = False
    reports_only: bool = False
    verbosity: int = 0
