"""A subject whose sessions have results, without the work on them; its visits are then followed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from bids_app.dataset.index import Scan, Session
from bids_app.dataset.staging import prepare_output, staged
from bids_app.derivatives import names
from bids_app.derivatives.changes import (
    BrainChange,
    ThalamusChange,
    read_brain_changes,
    read_thalamus_changes,
)
from bids_app.derivatives.outputs import write_aligned, write_brain_mask, write_image, write_maps
from bids_app.derivatives.results import AlignedContrast, QuantitativeMap
from bids_app.images.geometry import Grid
from bids_app.images.volume import Volume
from bids_app.options import Options
from bids_app.participant.follow_up.stage import run
from bids_app.run.outcome import Outcome
from bids_app.run.records import write_record
from bids_app.run.stamps import Stamp
from bids_app.segmentation.result import Segmentation
from tests.alignment.test_within_subject import _moved
from tests.conftest import describe, options_of, save_image


def head(seed: int = 0, spacing: float = 2.0) -> Volume:
    """A textured ellipsoid, dark outside; as small as can be aligned."""
    shape = (34, 38, 32)
    affine = Grid.around(np.array([4.0, -7.0, 11.0]), shape, spacing).affine
    index = np.indices(shape) - (np.array(shape)[:, None, None, None] - 1) / 2
    radius = sum((axis / half) ** 2 for axis, half in zip(index, (12, 14, 11), strict=True))
    texture = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.7)
    image = 1000 * (1 + 0.25 * texture / texture.std()) * (radius < 1)
    return Volume(gaussian_filter(image, 0.7).astype(np.float32), affine)


def turned(image: Volume, degrees: float) -> Volume:
    """The same head at another angle and place, not interpolated."""
    return _moved(image, [degrees, -degrees, degrees / 2], [degrees, 1, -1])[0]


def other_contrast(image: Volume) -> Volume:
    """The same head as another sequence shows it."""
    data = np.asarray(image.data)
    return Volume((0.9 * data + 100 * (data > 500)).astype(np.float32), image.affine)


def threshold(images: Mapping[str, Volume], threads: int) -> Segmentation:
    """The network's stand-in: the brain is what is bright; the thalami are its middle."""
    assert threads == 1
    image = next(iter(images.values()))
    brain = image.data > 300
    world = np.einsum("ij,jxyz->ixyz", image.affine[:3, :3], np.indices(brain.shape))
    offset = world - world[:, brain].mean(1)[:, None, None, None]
    inside = (offset**2).sum(0) < 9**2
    dseg = np.where(inside, np.where(offset[0] < 0, 1, 2), 0).astype(np.uint8)
    sides = [dseg == 1, dseg == 2]
    return Segmentation(
        dseg=dseg,
        probseg=np.stack(sides, axis=-1).astype(np.float32),
        brain_mask=brain.astype(np.uint8),
        soft_volumes=np.array([side.sum() * image.voxel_volume for side in sides]),
        brain_volume=float(brain.sum() * image.voxel_volume),
        icv=float(brain.sum() * image.voxel_volume),
    )


@dataclass
class Subject:
    """A subject in a dataset and an output folder, which others may be in, too.

    Attributes
    ----------
    folder : Path
    label : str
        Without ``sub-``.
    sessions : dict of str to Session
        Measured ones, by label.
    """

    folder: Path
    label: str = "01"
    sessions: dict[str, Session] = field(default_factory=dict)

    def __post_init__(self) -> None:
        describe(self.folder / "bids")
        prepare_output(self.output)

    @property
    def output(self) -> Path:
        return self.folder / "out"

    @property
    def options(self) -> Options:
        return options_of(self.folder / "bids", self.output)

    def visit(
        self,
        label: str,
        images: Mapping[str, Volume],
        ce: str = "",
        page: str = "",
        **fields: object,
    ) -> None:
        """Add a measured session.

        Parameters
        ----------
        label : str
        images : mapping of str to Volume
            By contrast, the anchor first; all on one grid. R1 has an MPM as its source.
        ce : str
            Contrast agent of all.
        page : str
            Content of the session's page.
        **fields
            Of the JSON files of all.
        """
        anatomy = self.folder / "bids" / f"sub-{self.label}" / f"ses-{label}" / "anat"
        entities = (("sub", self.label), ("ses", label), *([("ce", ce)] if ce else []))
        stem = "_".join("-".join(entity) for entity in entities)
        scans = []
        for contrast, image in images.items():
            raw = "MPM" if contrast == "R1map" else contrast
            path = anatomy / f"{stem}_{raw}.nii.gz"
            save_image(path, np.asarray(image.data), image.affine)
            if fields:
                path.with_name(f"{stem}_{raw}.json").write_text(json.dumps(fields))
            scans.append(Scan(path, contrast, entities))
        others = tuple(scan for scan in scans[1:] if scan.contrast != "R1map")
        session = Session(subject=self.label, session=label, anchors=(scans[0],), others=others)
        self.sessions[label] = session
        image, *aligned_images = images.values()
        with staged(self.output, session.name) as staging:
            write_image(staging, scans[0], image)
            if page:
                staging.text(names.session_page(session), page)
            mask = Volume((image.data > 300).astype(np.uint8), image.affine)
            write_brain_mask(staging, scans[0], mask)
            for scan, other in zip(scans[1:], aligned_images, strict=True):
                source = names.raw_uri(scan)
                if scan.contrast == "R1map":
                    write_maps(
                        staging, [QuantitativeMap("R1map", stem, other, {"Sources": [source]})]
                    )
                    source = names.uri(names.quantitative_map(stem, "R1map"))
                aligned = AlignedContrast(
                    contrast=scan.contrast, image=other, attempts=(), strategy="identity"
                )
                write_aligned(staging, scans[0], aligned, source, "")
        write_record(
            self.output,
            Outcome(name=session.name, status="done", stamp=Stamp(), outputs=staging.outputs),
        )

    def follow(self, *labels: str, reports_only: bool = False, **methods: object) -> Outcome:
        """Run the longitudinal step on some visits, by default on all."""
        (outcome,) = self.run(*labels, reports_only=reports_only, **methods)
        return outcome

    def run(self, *labels: str, reports_only: bool = False, **methods: object) -> list[Outcome]:
        """Run the longitudinal step; there is no outcome if it has nothing to draw."""
        sessions = [self.sessions[label] for label in labels or self.sessions]
        options = replace(
            self.options,
            methods=replace(self.options.methods, **methods),  # type: ignore[arg-type]
            run=replace(self.options.run, reports_only=reports_only),
        )
        measured = [Outcome(name=session.name, status="done") for session in sessions]
        return run(sessions, measured, options)

    @property
    def changes(self) -> list[ThalamusChange]:
        return read_thalamus_changes(self.output)[0]

    @property
    def brain_changes(self) -> dict[tuple[str, str], BrainChange]:
        changes, _ = read_brain_changes(self.output)
        return {(first, later): each for (_, first, later), each in changes.items()}

    @property
    def volumes(self) -> pd.DataFrame:
        paths = sorted(self.output.glob("sub-01/ses-*/anat/*_volumes.tsv"))
        return pd.concat([pd.read_csv(path, sep="\t") for path in paths], ignore_index=True)
