"""SAMSEG: sequence-adaptive segmentation of whole heads with an atlas (Puonti et al. 2016).

Part of FreeSurfer, and a package of its own with its atlas.
"""

from __future__ import annotations

from pathlib import Path

from bids_app.contrasts import CONTRASTS, Role, suffixes
from bids_app.programs.freesurfer import measures_in
from bids_app.programs.method import (
    FREESURFER_LABELS,
    ExternalMethod,
    Job,
    SubjectLabels,
    SubjectsDirectory,
    written,
)
from bids_app.tools.call import Call

_LABELS, _STATISTICS = "seg.mgz", "samseg.fs.stats"
_SIDES = ("Left-Thalamus", "Right-Thalamus")
# Atlases before FreeSurfer 7 call it Left-Thalamus-Proper.
_POSTERIORS = tuple(f"posteriors/{name}*.mgz" for name in _SIDES)
# Channels in which white matter is the brightest tissue, and lesions of it are not.
_T1_WEIGHTED = "T1w"


def _arguments(job: Job) -> tuple[str | Path, ...]:
    images = (job.image, *job.others)
    adapted = any(CONTRASTS[each].channel != _T1_WEIGHTED for each in job.contrasts)
    return (
        *("-i", *images, "-o", job.folder, "--threads", str(job.threads)),
        *("--save-posteriors", *_SIDES),
        # Recommended by its help where T2w or FLAIR is among the images.
        *(("--pallidum-separate",) if adapted else ()),
    )


def _call(job: Job) -> Call:
    return Call(
        executable="run_samseg",
        arguments=_arguments(job),
        binds=job.binds,
        folder=job.folder,
        # It has no option that prints its version.
        version_arguments=(),
    )


SAMSEG = ExternalMethod(
    name="samseg",
    title="SAMSEG",
    # Maps are given without skull, which its atlas needs.
    contrasts=suffixes(Role.ANCHOR),
    labels=FREESURFER_LABELS,
    executable="run_samseg",
    image="freesurfer/freesurfer:7.4.1",
    install="'pip install samseg', with Python 3.8 to 3.11",
    layout=SubjectsDirectory(
        (
            SubjectLabels(
                images=(_LABELS,),
                statistics=_STATISTICS,
                tables=("samseg.stats",),
                # The numbers are sums of probabilities, rounded down: those of the labels and up to
                # 0.6 % more per thalamus at 1 mm, up to 2.2 % more at 2 mm.
                counts_within=0.05,
                probabilities=_POSTERIORS,
            ),
        ),
        timepoint="tp{:03d}",
    ),
    call=_call,
    output=written(_LABELS),
    probabilities=_POSTERIORS,
    seconds=1200,
    memory_gib=6,
    sentence="SAMSEG (MIT) segmented the whole head, once from each scan and, where a session has "
    "several contrasts, once from all of them. Thalami are where its posterior probability is that "
    "of the thalamus; its volumes are the sums of the posterior probabilities, and its "
    "intracranial volume is the sum of those of all intracranial structures. Both are reported "
    "unchanged.",
    citations=("puonti2016",),
    measures=measures_in(_STATISTICS),
    joint=True,
    keeps_grid=True,
)
