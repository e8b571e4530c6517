"""Write random weights of a program's own format; run by the program's own interpreter.

``python random_weights.py {mindglide,DBSegment} PATH``
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path


def mindglide(path: Path) -> None:
    """One file of parameters."""
    import torch
    from mindglide.network import get_network

    torch.manual_seed(0)
    torch.save(get_network("cpu").state_dict(), path)


def dbsegment(path: Path) -> None:
    """A folder of nnU-Net 1: plans and two folds, much smaller than the real ones."""
    for variable in ("nnUNet_raw_data_base", "nnUNet_preprocessed", "RESULTS_FOLDER"):
        os.environ[variable] = str(path)
    import numpy as np
    import torch
    from nnunet.training.network_training.nnUNetTrainerV2 import nnUNetTrainerV2

    torch.manual_seed(0)
    poolings = 4
    stage = {
        "batch_size": 2,
        "num_pool_per_axis": [poolings] * 3,
        "patch_size": np.array([128] * 3),
        "do_dummy_2D_data_aug": False,
        "pool_op_kernel_sizes": [[2] * 3] * poolings,
        "conv_kernel_sizes": [[3] * 3] * (poolings + 1),
        "current_spacing": np.ones(3),
        "original_spacing": np.ones(3),
        "median_patient_size_in_voxels": np.array([256] * 3),
    }
    plans = {
        "plans_per_stage": {0: stage},
        "num_stages": 1,
        "num_modalities": 1,
        "modalities": {0: "MRI"},
        "normalization_schemes": {0: "nonCT"},
        "dataset_properties": {"intensityproperties": None},
        "base_num_features": 2,
        "num_classes": 31,
        "all_classes": list(range(1, 32)),
        "use_mask_for_norm": {0: False},
        "keep_only_largest_region": None,
        "min_region_size_per_class": None,
        "min_size_per_class": None,
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "data_identifier": "nnUNetData_plans_v2.1",
        "conv_per_stage": 2,
        "preprocessor_name": "GenericPreprocessor",
    }
    task = path / "deep_brain_seg_model_2f/model/nnUNet/3d_fullres/Task054_Mri"
    model = task / "nnUNetTrainerV2__nnUNetPlansv2.1"
    for fold in (4, 6):
        place = model / f"fold_{fold}"
        place.mkdir(parents=True)
        init = (str(model / "plans.pkl"), fold, str(place), str(path), False, 0, True, False, False)
        trainer = nnUNetTrainerV2(*init)
        trainer.process_plans(plans)
        trainer.setup_DA_params()
        trainer.initialize_network()
        checkpoint = {
            "epoch": 1,
            "state_dict": trainer.network.state_dict(),
            "optimizer_state_dict": None,
            "lr_scheduler_state_dict": None,
            "plot_stuff": ([], [], [], []),
        }
        torch.save(checkpoint, place / "model_final_checkpoint.model")
        information = {"init": init, "name": "nnUNetTrainerV2", "class": "", "plans": plans}
        (place / "model_final_checkpoint.model.pkl").write_bytes(pickle.dumps(information))
    (model / "plans.pkl").write_bytes(pickle.dumps(plans))


if __name__ == "__main__":
    {"mindglide": mindglide, "DBSegment": dbsegment}[sys.argv[1]](Path(sys.argv[2]))
