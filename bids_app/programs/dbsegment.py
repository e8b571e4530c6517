"""DBSegment: a network for deep brain structures (Baniasadi et al. 2023)."""

from __future__ import annotations

from pathlib import Path

from bids_app.programs.method import ExternalMethod, Job
from bids_app.segmentation.result import LEFT, RIGHT
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
    # nnU-Net makes folders beside and within its model, which it may not do in the user's. A local
    # program finds no other place for them.
    beside = job.folder / "models" / _MODELS
    # The image's entry point gives the folders itself, and loses its first argument. Without the
    # slash the program would look beside the folder.
    folders = ("-i", job.image.parent, "-o", job.folder, "-mp", f"{weights}/")
    return Call(
        None if job.contained else "DBSegment",
        (
            *(("_",) if job.contained else folders),
            *("--num_threads_preprocessing", threads, "--num_threads_nifti_save", threads),
        ),
        (
            # It makes a folder beside the image.
            Bind(job.image.parent, "/input", writable=True),
            Bind(job.folder, "/output", writable=True),
            Bind(beside, f"/models/{_MODELS}", writable=True),
            *(Bind(weights / _MODEL / name, f"/models/{_MODEL}/{name}") for name in _PARTS),
        ),
        job.folder,
        # Its registration to the scan samples at random, and sums over threads.
        {"ANTS_RANDOM_SEED": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"},
        version_arguments=(),
    )


def _output(job: Job) -> Path:
    """Labels in its 1 mm space, from where the headers lead back exactly.

    Those it writes for the scan itself went through an affine registration of the two images.
    """
    return job.folder / "preprocessed_v3" / job.image.name


METHOD = ExternalMethod(
    name="dbsegment",
    title="DBSegment",
    contrasts=("T1w",),
    labels=LABELS,
    program="DBSegment",
    image="imagingai/dbsegment:0.2.2",
    call=_call,
    output=_output,
    seconds=900,
    memory_gib=8,
    methods="DBSegment (GPL-3.0) labelled the thalamus with its ventral posterolateral and ventral "
    "intermediate nuclei at 1 mm; its labels were taken to the grid of the scan by their headers "
    "(nearest neighbour).",
    references=(
        "Baniasadi M, Petersen MV, Gonçalves J, et al. DBSegment: fast and robust segmentation of "
        "deep brain structures considering domain generalization. Hum Brain Mapp "
        "2023;44:762-778.",
    ),
    weights=f"the folder of its models, which holds {_MODELS}",
    weights_hold=_MODEL,
)
