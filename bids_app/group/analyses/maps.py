"""Maps of the thalami of the cohort in the space of a template."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from math import nan
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from bids_app.alignment.templates import MNI, TEMPLATES, load_template
from bids_app.derivatives import names
from bids_app.derivatives.template_columns import COLUMNS_OF_TEMPLATES
from bids_app.group.analysis import Analysis
from bids_app.group.result import (
    Display,
    NotApplicableError,
    Result,
    ResultFigure,
    ResultImage,
    ResultTable,
)
from bids_app.group.study import Study
from bids_app.group.template_maps import (
    GroupMap,
    frequency_map,
    mask_in_template,
    region_of,
    shift_map,
)
from bids_app.images.volume import Volume
from bids_app.report.template_plots import FREQUENCY, SHIFT, Scale, template_slices

_SIDECARS = {
    "frequency": "Share of the participants whose mask contains the voxel",
    "shift": "Mean shift of the border of the thalami from the first session to the follow-up, mm, "
    "outward positive; NaN where fewer than half of the participants have their border",
}
_EVERYONE = "all"
_FREQUENCY_METHOD = (
    f"Masks of the first session in the space of the {TEMPLATES[MNI].title}, were averaged by "
    "diagnosis to frequency maps."
)
_SHIFT_METHOD = (
    " The shift of the border of the thalami along its normal, from the first session to the "
    "follow-up, was measured in the space half-way between the visits and averaged in that of the "
    "template."
)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """The map of a segmentation and a diagnosis."""

    segmentation: str
    diagnosis: str
    kind: str
    map: GroupMap

    @property
    def path(self) -> PurePosixPath:
        """Its file in the output folder."""
        return names.group_map(self.segmentation, self.diagnosis, MNI, self.kind)

    @property
    def title(self) -> str:
        """Diagnosis and number of participants."""
        return f"{self.diagnosis} (n = {self.map.n})"


def analyse(study: Study) -> Result:
    """Map how often each place is thalamus, and how its border shifted, by diagnosis and method.

    Raises
    ------
    NotApplicableError
        If no mask is in the space of the template.
    """
    first = study.volumes[study.volumes["visit"] == 0]
    # Transforms first: there is one for all the masks of a scan.
    registered = {
        scan
        for scan in first["scan"].unique()
        if (study.output_dir / names.template_transform(str(scan), MNI)).is_file()
    }
    first = first[first["scan"].isin(registered)]
    there = [
        (study.output_dir / mask_in_template(row, MNI)).is_file()
        for row in first.to_dict("records")
    ]
    first = first[there]
    if first.empty:
        raise NotApplicableError(
            f"no mask is in the space of a template (run the participant stage with "
            f"--output-spaces {MNI})"
        )
    template = load_template()
    grid = template.grid
    maps = [
        _Drawn(segmentation, diagnosis, "frequency", each)
        for segmentation, diagnosis, rows in _groups(study, first)
        if (each := frequency_map(rows.to_dict("records"), study.output_dir, MNI, grid)).n
    ]
    shifts = list(_shifts(study, template))
    problems = [text for each in (*maps, *shifts) for text in each.map.problems]
    if not maps:
        raise NotApplicableError("no mask in the space of a template can be read", problems)
    near = template.crop(region_of(grid))
    table = _table((*maps, *shifts), template)
    return Result(
        tables={"maps": table},
        figures={**_figures(maps, near, FREQUENCY), **_figures(shifts, near, SHIFT)},
        images={each.path: _image(each, template) for each in (*maps, *shifts)},
        findings=_findings(table.data),
        methods=f"{_FREQUENCY_METHOD}{_SHIFT_METHOD if shifts else ''}",
        references=("avants2008", "fonov2011"),
        problems=tuple(dict.fromkeys(problems)),
    )


def _groups(study: Study, rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield the rows of each segmentation and diagnosis, or of all where there is none."""
    by_diagnosis = study.by_diagnosis(rows)
    if by_diagnosis is None:
        by_diagnosis = rows.assign(diagnosis=_EVERYONE)
    for segmentation in study.segmentations:
        of_segmentation = by_diagnosis[by_diagnosis["segmentation"] == segmentation]
        for diagnosis, members in of_segmentation.groupby("diagnosis"):
            yield segmentation, str(diagnosis), members


def _shifts(study: Study, template: Volume) -> Iterator[_Drawn]:
    """Map the shift of each longitudinal segmentation between first session and follow-up."""
    rows = study.volumes
    longitudinal = rows[rows["method"].str.endswith(names.LONGITUDINAL)]
    if longitudinal.empty or study.followup.empty:
        return
    counted = study.followed[study.followed["counted"] == "yes"]
    counted = counted[["participant_id", "segmentation"]]
    longitudinal = longitudinal.merge(counted, on=["participant_id", "segmentation"])
    last = study.followup.set_index("participant_id")["visit"]
    visits = longitudinal["participant_id"].map(last)
    later = longitudinal[longitudinal["visit"] == visits]
    follow = {(row["participant_id"], row["segmentation"]): row for row in later.to_dict("records")}
    for segmentation, diagnosis, members in _groups(
        study, longitudinal[longitudinal["visit"] == 0]
    ):
        pairs = [
            (row, follow[key])
            for row in members.to_dict("records")
            if (key := (row["participant_id"], segmentation)) in follow
            and (study.output_dir / names.template_transform(str(row["scan"]), MNI)).is_file()
        ]
        if pairs:
            mean = shift_map(pairs, study.output_dir, MNI, template.grid)
            if mean.n:
                yield _Drawn(segmentation, diagnosis, "shift", mean)


def _table(drawn: Iterable[_Drawn], template: Volume) -> ResultTable:
    """Describe frequency maps by what the participants agree in, shifts by their mean."""
    rows = []
    for each in drawn:
        values = each.map.values
        row: dict[str, object] = {
            "method": each.segmentation,
            "diagnosis": each.diagnosis,
            "n": each.map.n,
        }
        half = values >= 0.5
        if each.kind == "shift":
            row["border_shift"] = float(np.nanmean(values)) if np.isfinite(values).any() else nan
        elif half.any():
            row["half_ml"] = half.sum() * template.voxel_volume / 1000
            row["half_frequency"] = float(values[half].mean())
        rows.append(row)
    return ResultTable(
        "Maps of the thalami",
        f"Masks of the first session in the space of {MNI}: what is thalamus in at least half of "
        "the participants; and the shift of their border to the follow-up, as far as it was "
        "measured.",
        pd.DataFrame(
            rows,
            columns=["method", "diagnosis", "n", "half_ml", "half_frequency", "border_shift"],
        ),
    )


def _findings(table: pd.DataFrame) -> str:
    """State the common volume and the shift of the first segmentation that has one."""
    texts = []
    for column, sentence in (
        (
            "half_ml",
            "At least half of the participants have thalamus ({method}) in {values} of the "
            "template.",
        ),
        ("border_shift", "The border ({method}) shifted on average by {values}, outward positive."),
    ):
        valued = table[table[column].notna()]
        if valued.empty:
            continue
        first = valued[valued["method"] == valued["method"].iloc[0]]
        unit = COLUMNS_OF_TEMPLATES[column].units
        values = ", ".join(
            f"{row[column]:.3g} {unit} ({row['diagnosis']}, n = {row['n']})"
            for row in first.to_dict("records")
        )
        texts.append(sentence.format(method=first["method"].iloc[0], values=values))
    return " ".join(texts)


def _figures(drawn: list[_Drawn], near: Volume, scale: Scale) -> dict[str, ResultFigure]:
    """Draw the maps of each segmentation; the first on the page, the others on request."""
    figures: dict[str, ResultFigure] = {}
    for segmentation in dict.fromkeys(each.segmentation for each in drawn):
        maps = [each for each in drawn if each.segmentation == segmentation]
        volumes = {each.title: Volume(each.map.values, near.affine) for each in maps}
        name = names.group_map(segmentation, "", MNI, maps[0].kind)
        label = name.name.partition("_desc-")[2].removesuffix(".nii.gz")
        figures[f"maps_{label}"] = ResultFigure(
            f"{segmentation}: {'frequency' if scale is FREQUENCY else 'shift of the border'}",
            f"{_SIDECARS[maps[0].kind]}, of {segmentation}; a sagittal slice through the left "
            "thalamus, a coronal and an axial one through both; coordinates of the template in mm. "
            f"Images: {_of_all(name, maps[0].kind)}.",
            partial(template_slices, volumes, near, scale),
            display=Display.FOLDED if figures else Display.PAGE,
        )
    return figures


def _of_all(name: PurePosixPath, kind: str) -> str:
    """Write the pattern of the maps of all diagnoses."""
    return str(name.with_name(name.name.replace(f"_{kind}.", f"*_{kind}.")))


def _image(each: _Drawn, template: Volume) -> ResultImage:
    box = region_of(template.grid)
    return ResultImage(
        part=Volume(each.map.values, template.grid.crop(box).affine),
        box=box,
        grid=template.grid,
        fill=0.0 if each.kind == "frequency" else float("nan"),
        sidecar={
            "Description": _SIDECARS[each.kind],
            "Segmentation": each.segmentation,
            "Diagnosis": each.diagnosis,
            "Participants": each.map.n,
            "Resolution": TEMPLATES[MNI].resolution,
            "SpatialReference": TEMPLATES[MNI].reference,
            **({"Units": "mm"} if each.kind == "shift" else {}),
        },
    )


ANALYSIS = Analysis("maps", "Maps of the thalami", analyse)
