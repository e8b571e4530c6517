"""DBSegment: a network for deep brain structures (Baniasadi et al. 2023)."""

from __future__ import annotations

from pathlib import Path

from bids_app.programs.method import ExternalMethod, Job, LabelFiles, Weights
from bids_app.segmentation.sides import LEFT, RIGHT
from bids_app.tools.call import Bind, Call

# Thalamus, ventral posterolateral and ventral intermediate nucleus; 28 and 29 are ventricles.
LABELS = {24: LEFT, 26: LEFT, 30: LEFT, 25: RIGHT, 27: RIGHT, 31: RIGHT}

# What it downloads for its two default folds.
_MODELS = "deep_brain_seg_model_2f"
_MODEL = f"{_MODELS}/model/nnUNet/3d_fullres/Task054_Mri/nnUNetTrainerV2__nnUNetPlansv2.1"
_PARTS = ("plans.pkl", "fold_4", "fold_6")


def _call(job: Job) -> Call:
    weights = job.weights or job.folder
    threads = str(job.threads)
    # nnU-Net creates folders next to and within its model, which must not happen in the folder of
    # the user. A local program cannot be given another place.
    scratch_models = job.folder / "models" / _MODELS
    # The entry point of the image sets the folders itself, and drops its first argument. Without
    # the trailing slash the program would search the parent folder.
    folders = ("-i", job.image.parent, "-o", job.folder, "-mp", f"{weights}/")
    return Call(
        executable=None if job.contained else "DBSegment",
        arguments=(
            *(("_",) if job.contained else folders),
            *("--num_threads_preprocessing", threads, "--num_threads_nifti_save", threads),
        ),
        binds=(
            # The program creates a folder next to the image.
            Bind(job.image.parent, "/input", writable=True),
            Bind(job.folder, "/output", writable=True),
            Bind(scratch_models, f"/models/{_MODELS}", writable=True),
            *(Bind(weights / _MODEL / name, f"/models/{_MODEL}/{name}") for name in _PARTS),
        ),
        folder=job.folder,
        # Its registration to the scan samples at random, and its sums depend on threads.
        environment={"ANTS_RANDOM_SEED": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"},
        version_arguments=(),
    )


def _output(job: Job) -> Path:
    """Return its labels at 1 mm, whose header relates them to the scan exactly.

    The labels that it writes on the grid of the scan depend on an affine registration of the two
    images.
    """
    return job.folder / "preprocessed_v3" / job.image.name


DBSEGMENT = ExternalMethod(
    name="dbsegment",
    title="DBSegment",
    contrasts=("T1w",),
    labels=LABELS,
    executable="DBSegment",
    image="imagingai/dbsegment:0.2.2",
    # The space of the program comes first, for the reason given in `_output`.
    layout=LabelFiles(endings=("",), folders=("preprocessed_v3", "")),
    call=_call,
    output=_output,
    seconds=900,
    memory_gib=8,
    sentence="DBSegment (GPL-3.0) segmented the thalamus with its ventral posterolateral and "
    "ventral intermediate nuclei at 1 mm; its labels were resampled to the grid of the scan by "
    "their headers (nearest neighbour).",
    citations=("baniasadi2023",),
    weights=Weights(f"the folder of its models, which contains {_MODELS}", required=_MODEL),
)
