"""The templates in whose space results can be written; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bids_app.images.volume import Volume


@dataclass(frozen=True)
class Template:
    """What is known of a template before it is loaded.

    Attributes
    ----------
    title : str
        For JSON files.
    resolution : str
        For the field ``Resolution`` of JSON files.
    reference : str
        For their field ``SpatialReference``: where the template is described.
    """

    title: str
    resolution: str
    reference: str


# By their names in TemplateFlow and BIDS. The documentation of nilearn calls the template that it
# ships asymmetrical, but its file is named sym_09a and equals its mirror image voxel by voxel.
MNI = "MNI152NLin2009aSym"
TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        MNI: Template(
            title="ICBM 152 non-linear symmetric template, version 2009a, without skull",
            resolution="1 mm isotropic, the grid of the template (197 x 233 x 189 voxels)",
            reference="https://www.bic.mni.mcgill.ca/ServicesAtlases/ICBM152NLin2009",
        )
    }
)


def load_template() -> Volume:
    """Load the brain of the template of T1w contrast.

    Returns
    -------
    Volume
        (197, 233, 189) float32, 1 mm, RAS, 0 outside of the brain, 1 at its brightest.

    References
    ----------
    Fonov V, Evans AC, Botteron K, et al. Unbiased average age-appropriate atlases for pediatric
    studies. NeuroImage 2011;54:313-327. doi:10.1016/j.neuroimage.2010.07.033
    """
    import numpy as np
    from nilearn.datasets import load_mni152_template

    from bids_app.images.volume import Volume

    image = load_mni152_template(resolution=1)
    return Volume(np.asarray(image.get_fdata(), dtype=np.float32), np.asarray(image.affine))
