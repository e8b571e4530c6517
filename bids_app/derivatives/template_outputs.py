"""Writing and reading back what is in the space of a template."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from bids_app.alignment.templates import TEMPLATES
from bids_app.alignment.to_template import Match
from bids_app.dataset.images import read_volume
from bids_app.dataset.index import Scan
from bids_app.dataset.metadata import merged
from bids_app.dataset.staging import Staging
from bids_app.derivatives import names
from bids_app.derivatives.outputs import generated_by
from bids_app.derivatives.results import InTemplate, Measurement
from bids_app.derivatives.steps import FIELD, Step
from bids_app.errors import BadDataError
from bids_app.images.geometry import AffineArray
from bids_app.images.resampling import FloatArray
from bids_app.images.volume import Volume

# Fields of the JSON file of a transform, and what they are of `Match`.
_MATCH = {
    "CorrelationWithTemplate": "correlation",
    "LeastJacobianDeterminant": "least_jacobian",
    "LargestJacobianDeterminant": "most_jacobian",
    "TemplateCoverage": "coverage",
}


def describe_transforms(staging: Staging, scan: Scan, template: str, match: Match) -> None:
    """Write the JSON files of the transforms between a scan and a template."""
    source = names.uri(names.preprocessed(scan))
    common = {
        "TransformType": "composite of an affine transform and a displacement field",
        "Units": "mm",
        "Format": "ITK HDF5, for antsApplyTransforms",
        "Software": "ANTs (antspyx), rigid, affine and symmetric normalisation (SyN)",
        **{field: round(getattr(match, name), 4) for field, name in _MATCH.items()},
        FIELD: [Step.TEMPLATE.value],
        "GeneratedBy": generated_by("normalisation to a template"),
    }
    title = TEMPLATES[template].title
    for inverse in (False, True):
        path = names.template_transform(names.row_name(scan), template, inverse=inverse)
        other = names.template_transform(names.row_name(scan), template, inverse=not inverse)
        ends = ("the template", "the scan") if inverse else ("the scan", "the template")
        staging.json(
            names.sidecar(path),
            {
                "Description": f"Resamples images in the space of {ends[0]} on {ends[1]}",
                "Sources": [source],
                "Template": f"{template}: {title}",
                "Inverse": names.uri(other),
                **common,
            },
        )


def write_template_image(staging: Staging, scan: Scan, item: InTemplate) -> None:
    """Write the brain of a scan in the space of a template."""
    source = names.preprocessed(scan)
    staging.image(
        names.template_image(names.row_name(scan), item.template),
        item.image,
        Description="Within the brain of the template; interpolated linearly",
        Resolution=TEMPLATES[item.template].resolution,
        SkullStripped=True,
        **_origin(source, scan, item.template),
    )


def write_template_segmentation(
    staging: Staging,
    scan: Scan,
    item: Measurement,
    template: str,
    dseg: npt.NDArray[np.uint8],
    probseg: FloatArray | None,
    affine: AffineArray,
) -> None:
    """Write labels, and probabilities if any, in the space of a template.

    Parameters
    ----------
    staging : Staging
    scan : Scan
    item : Measurement
        On the grid of the scan.
    template : str
    dseg : (X, Y, Z) uint8
    probseg : (X, Y, Z, 2) float32 or None
    affine : (4, 4) float64
        Affine of the template.
    """
    labels = names.segmentation(scan, item.method, item.contrast)
    fields = {
        "Manual": bool(item.edited),
        "Resolution": TEMPLATES[template].resolution,
        "GeneratedBy": generated_by(item.method),
    }
    staging.image(
        names.in_template(labels, template),
        Volume(dseg, affine),
        Interpolation="most probable label of the linearly interpolated masks",
        **_origin(labels, scan, template),
        **fields,
    )
    if probseg is not None:
        path = names.probabilities(labels)
        staging.image(
            names.in_template(path, template),
            Volume(probseg, affine),
            Interpolation="linear",
            LabelMap=["L_Thal", "R_Thal"],
            **_origin(path, scan, template),
            **fields,
        )


def _origin(source: PurePosixPath, scan: Scan, template: str) -> dict[str, object]:
    transform = names.uri(names.template_transform(names.row_name(scan), template))
    return {
        "Sources": [names.uri(source), transform],
        "SpatialReference": TEMPLATES[template].reference,
        "Transform": transform,
    }


def read_templates(output_dir: Path, scan: Scan) -> tuple[InTemplate, ...]:
    """Read a scan in the spaces of templates, as far as it was written there.

    Raises
    ------
    BadDataError
        If a result is damaged.
    """
    return tuple(
        InTemplate(
            template=template,
            image=read_volume(output_dir / names.template_image(names.row_name(scan), template)),
            match=_read_match(
                output_dir / names.sidecar(names.template_transform(names.row_name(scan), template))
            ),
        )
        for template in TEMPLATES
        if (output_dir / names.template_image(names.row_name(scan), template)).is_file()
    )


def _read_match(sidecar: Path) -> Match:
    fields = merged((sidecar,))
    values = {name: fields.get(field) for field, name in _MATCH.items()}
    if not all(isinstance(value, int | float) for value in values.values()):
        raise BadDataError(
            f"{sidecar} lacks one of the numbers {', '.join(_MATCH)}: how well the scan matches "
            "the template. Measure its session again."
        )
    return Match(**{name: float(str(value)) for name, value in values.items()})
