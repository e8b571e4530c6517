"""The input of every analysis: the cohort, the plan, and the tables derived from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bids_app.dataset.choice import Choice
from bids_app.dataset.tsv import as_written
from bids_app.derivatives.changes import (
    BrainChange,
    ThalamusChange,
    read_brain_changes,
    read_thalamus_changes,
)
from bids_app.group.analysis_file import AnalysisPlan
from bids_app.group.cohort import SESSION, Cohort
from bids_app.group.followed import JUDGED, agents_of_visits, between, judge_changes
from bids_app.group.harmonised import Harmonised, harmonise
from bids_app.group.intracranial import IntracranialVolumes, intracranial_volumes
from bids_app.group.levels import level_name, select
from bids_app.group.mapping import calibrated, calibration_table
from bids_app.group.masks import (
    ComparedMasks,
    LabelledScans,
    labelled_scans,
    overlap_with_reference,
)
from bids_app.group.reference import References
from bids_app.group.repeats import rank_scans
from bids_app.group.result import NotApplicableError
from bids_app.group.stored_classifier import Classifiers
from bids_app.group.stored_norm import Norms
from bids_app.statistics.change import change_table
from bids_app.statistics.description import summary_table

# Keys of a longitudinal series of volumes.
SERIES = ["participant_id", "segmentation"]
CHANGES = ["change_ml", "percent", "annual_change_ml", "annual_percent"]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A cohort and the plan of its analyses.

    Attributes
    ----------
    cohort : Cohort
    plan : AnalysisPlan
    output_dir : Path
        Output of the participant stage, with the masks.
    reference_dir : Path or None
        Derivatives dataset with reference labels.
    siena_dir : Path or None
        Results of SIENA.
    calibrate : bool
        Whether calibrated volumes are requested.
    stored_calibration : DataFrame or None
        Applied instead of a calibration fitted to the reference labels.
    norms : Norms or None
        Used instead of norms fitted to the healthy participants.
    classifiers : Classifiers or None
        Those of another study, applied to the patients of this one.
    """

    cohort: Cohort
    plan: AnalysisPlan
    output_dir: Path
    reference_dir: Path | None = None
    siena_dir: Path | None = None
    calibrate: bool = False
    stored_calibration: pd.DataFrame | None = None
    norms: Norms | None = None
    classifiers: Classifiers | None = None

    @cached_property
    def icv(self) -> IntracranialVolumes:
        """Intracranial volume of every participant, by the method that the plan names.

        Raises
        ------
        NotApplicableError
            If that method measured none.
        """
        return intracranial_volumes(self.cohort.table, self.plan.icv)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The cohort's table with ``icv_ml`` of the participant, and calibrated volumes on request.

        Raises
        ------
        NotApplicableError
            If they are requested and there is no calibration, or the plan's method measured no
            intracranial volume.
        """
        table = self.cohort.table
        icv = table["participant_id"].map(self.icv.participants).astype("float64")
        table = table.assign(icv_ml=icv)
        if not self.calibrate:
            return table
        stored = self.stored_calibration
        calibration = self.calibration if stored is None else stored
        volumes = calibrated(table, calibration, self.plan.confidence)
        place = int(np.argmax(table.columns == "total_ml")) + 1
        return pd.concat([table.iloc[:, :place], volumes, table.iloc[:, place:]], axis="columns")

    @cached_property
    def scans(self) -> pd.DataFrame:
        """Rows to analyse: segmentations of the plan, without flagged ones if it excludes them.

        Raises
        ------
        NotApplicableError
            If no row remains.
        """
        return self._analysed(self.table)

    def _analysed(self, table: pd.DataFrame) -> pd.DataFrame:
        """Select the rows that the plan analyses; its calibration is fitted to no others."""
        if self.plan.flagged == "exclude":
            table = table[table["qc"] != "check"].reset_index(drop=True)
            if table.empty:
                raise NotApplicableError("quality control flags every volume")
        selected = self.plan.segmentations
        if not selected:
            return table
        keep = table["segmentation"].isin(selected)
        if not keep.any():
            present = sorted(table["segmentation"].unique())
            raise NotApplicableError(f"none of the segmentations {list(selected)} is in {present}")
        return table[keep].reset_index(drop=True)

    @cached_property
    def ranked(self) -> list[Choice[str]]:
        """For each session its scans to analyse, the one that counts first."""
        return rank_scans(self.scans, self.output_dir)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """One row per session and segmentation: that of the scan that counts among repeats."""
        places = {name: place for each in self.ranked for place, name in enumerate(each.ranked)}
        ranked = self.scans.assign(place=self.scans["scan"].map(places))
        ranked = ranked.sort_values([*SESSION, "visit", "place"], kind="stable")
        return ranked.drop(columns="place").drop_duplicates(
            [*SESSION, "segmentation"], ignore_index=True
        )

    @cached_property
    def harmonisation(self) -> Harmonised:
        """Effects of scanners or sites that are removed from volumes."""
        return harmonise(self.measured, self.plan.harmonisation)

    @cached_property
    def volumes(self) -> pd.DataFrame:
        """The rows of `measured`, with harmonised volumes if the plan requests them."""
        return self.harmonisation.added_to(self.measured)

    @property
    def segmentations(self) -> list[str]:
        """Segmentations in order of appearance."""
        return list(self.methods)

    @cached_property
    def methods(self) -> dict[str, str]:
        """Method of each segmentation, in order of appearance."""
        first = self.scans.drop_duplicates("segmentation")
        return dict(zip(first["segmentation"], first["method"].map(str), strict=True))

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """One row per session: its clinical columns, and a column with the mL of each method."""
        return self.sessions_by(self.plan.harmonisation.column)

    def sessions_by(self, volume: str) -> pd.DataFrame:
        """Return the rows of `sessions` with the volumes of a column of `volumes`."""
        clinical = [*SESSION, "visit", "interval", "icv_ml", *self.cohort.columns]
        rows = self.volumes[list(dict.fromkeys(clinical))].drop_duplicates(SESSION)
        wide = self.volumes.assign(key=self.volumes["session_id"].fillna("")).pivot(
            index=["participant_id", "key"], columns="segmentation", values=volume
        )
        keys = pd.MultiIndex.from_arrays([rows["participant_id"], rows["session_id"].fillna("")])
        return rows.reset_index(drop=True).join(wide.reindex(keys).reset_index(drop=True))

    @cached_property
    def baseline(self) -> pd.DataFrame:
        """One row per participant: the first measured session."""
        return self.sessions[self.sessions["visit"] == 0].reset_index(drop=True)

    @cached_property
    def followup(self) -> pd.DataFrame:
        """One row per participant with a follow-up: the session chosen as follow-up.

        It is the session closest to the plan's time after the first one, within its limits;
        the second session where times are unknown.
        """
        plan = self.plan.sessions
        with_baseline = self.sessions["participant_id"].isin(self.baseline["participant_id"])
        later = self.sessions[with_baseline & (self.sessions["visit"] > 0)]
        low, high = plan.followup_range
        fits = later["interval"].isna() | later["interval"].between(low, high)
        distance = (later["interval"] - plan.followup_years).abs().fillna(later["visit"])
        nearest = later.assign(distance=distance)[fits].sort_values("distance", kind="stable")
        chosen = nearest.drop_duplicates("participant_id").drop(columns="distance")
        return chosen.sort_values("participant_id", ignore_index=True)

    @cached_property
    def changes(self) -> pd.DataFrame:
        """Rows of `followed` whose verdict the plan accepts, without the columns of verdicts.

        Raises
        ------
        NotApplicableError
            If no participant has a follow-up, or no change is accepted.
        """
        counted = self.followed[self.followed["counted"] == "yes"].reset_index(drop=True)
        if counted.empty:
            raise NotApplicableError(
                f"no change of {len(self.followed)} has a verdict that is analysed (verdict = "
                f"'{self.plan.verdict}' in the analysis file; 'check' and 'all' take more); the "
                f"first is {self.followed['verdict'].iloc[0]}: {self.followed['reason'].iloc[0]}"
            )
        return counted.drop(columns=["verdict", "reason", "counted"])

    @cached_property
    def changes_by_segmentation(self) -> pd.DataFrame:
        """Changes in mL, one row per participant and one column per segmentation."""
        return self.changes.pivot(
            index="participant_id", columns="segmentation", values="change_ml"
        )

    @cached_property
    def followed(self) -> pd.DataFrame:
        """One row per participant and segmentation: change of volume from first to follow-up.

        The columns of `SERIES`, ``contrast_agent`` of both sessions, ``interval`` (years, NaN if
        unknown), ``baseline_ml``, ``followup_ml``, the columns of `CHANGES` and of `JUDGED`, and
        the clinical columns of the first session. The change is that of ``--longitudinal`` where
        it was measured, else the difference of the volumes.

        Raises
        ------
        NotApplicableError
            If no participant has a follow-up.
        """
        if self.followup.empty:
            raise NotApplicableError("no participant has a follow-up session")
        chosen = self.followup[["participant_id", "visit", "interval"]]
        first = chosen.assign(visit=0, interval=0.0)
        pairs = pd.concat([first, chosen], ignore_index=True)
        # Sessions of unknown time keep their order; their rates are removed below.
        pairs["years"] = pairs["interval"].fillna(pairs["visit"])
        visits = self.volumes.merge(pairs.drop(columns="interval"), on=["participant_id", "visit"])
        # A method that failed at the first session has no change, not one from a later session.
        visits = visits[visits.groupby(SERIES)["visit"].transform("min") == 0]
        table = change_table(visits, self.plan.harmonisation.column, keys=SERIES, time="years")
        table = table.rename(
            columns={
                "baseline": "baseline_ml",
                "value": "followup_ml",
                "change": "change_ml",
                "annual_change": "annual_change_ml",
            }
        ).drop(columns=["followup", "interval"])
        table = table.merge(chosen[["participant_id", "interval"]], on="participant_id")
        table = table.merge(agents_of_visits(visits, SERIES), on=SERIES)
        unknown = table["interval"].isna()
        table.loc[unknown, ["annual_change_ml", "annual_percent"]] = np.nan
        table = self._judge(table)
        clinical = self.baseline[["participant_id", *self.cohort.columns]]
        measures = ("contrast_agent", "interval", "baseline_ml", "followup_ml", *CHANGES)
        ordered = [*SERIES, *measures, *JUDGED]
        order = {name: place for place, name in enumerate(self.segmentations)}
        table = table.sort_values(
            ["participant_id", "segmentation"],
            key=lambda column: column.map(order) if column.name == "segmentation" else column,
        )
        return table[ordered].merge(clinical, on="participant_id", how="left")

    def _judge(self, changes: pd.DataFrame) -> pd.DataFrame:
        """Take the changes and verdicts of ``--longitudinal``, where there are any."""
        ids = ["participant_id", "session_id"]
        # As it is written there where an image is in no session.
        first, later = (rows[ids].fillna("n/a") for rows in (self.baseline, self.followup))
        first = first.rename(columns={"session_id": "from_session"})
        later = later.rename(columns={"session_id": "to_session"})
        pairs = first.merge(later, on="participant_id")
        measured = between(self.thalamus_changes[0], pairs)
        names = self.scans[["segmentation", "method", "contrast"]].drop_duplicates("segmentation")
        changes = changes.merge(names, on="segmentation", how="left")
        return judge_changes(changes, measured, self.plan.verdict)

    @cached_property
    def thalamus_changes(self) -> tuple[list[ThalamusChange], list[str]]:
        """Changes measured with ``--longitudinal``, and tables of them that are damaged."""
        return read_thalamus_changes(self.output_dir)

    @cached_property
    def brain_changes(self) -> tuple[dict[tuple[str, str, str], BrainChange], list[str]]:
        """Brain volume changes measured with ``--longitudinal``, and tables that are damaged."""
        return read_brain_changes(self.output_dir)

    @cached_property
    def agent_changes(self) -> dict[str, str]:
        """Contrast agents of both sessions, by participant whose sessions differ in them."""
        if self.followup.empty:
            return {}
        table = self.followed[self.followed["counted"] == "yes"]
        differing = table[table["contrast_agent"].str.contains(",", na=False)]
        agents = differing.groupby("participant_id")["contrast_agent"].first()
        return {str(name): str(text) for name, text in agents.items()}

    @cached_property
    def compared_masks(self) -> ComparedMasks:
        """Masks compared with the reference.

        Raises
        ------
        NotApplicableError
            If no reference is given.
        """
        return overlap_with_reference(self.scans, self.output_dir, self.references)

    @cached_property
    def labelled(self) -> LabelledScans:
        """Volumes to analyse of the scans with a reference, repeat scans included.

        Raises
        ------
        NotApplicableError
            If no reference is given, it matches no scan, or no row is analysed.
        """
        scans = labelled_scans(self._analysed(self.cohort.table), self.output_dir, self.references)
        if scans.pairs.empty:
            raise NotApplicableError(scans.problems[0], scans.problems)
        return scans

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """The calibration to the reference, see `calibration_table`, with the digits of its file.

        So it is the same whether it was fitted here or stored by an earlier run.

        Raises
        ------
        NotApplicableError
            If no reference is given, or too few participants have one.
        """
        table = as_written(calibration_table(self.labelled, self.plan.confidence))
        if table["mapping"].isna().all():
            raise NotApplicableError(table["reason"].iloc[0], self.labelled.problems)
        return table

    def reference_overlap(self) -> pd.DataFrame:
        """Return the overlap of the first scan with a reference of each participant.

        Further scans of a participant are not independent of the first one.

        Raises
        ------
        NotApplicableError
            If no scan has a reference.
        """
        table = self.compared_masks.overlap
        if table.empty:
            problems = self.compared_masks.problems
            raise NotApplicableError(problems[0], problems)
        first = table.groupby("participant_id")["scan"].transform("first")
        return table[table["scan"] == first].reset_index(drop=True)

    def without_controls(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of participants who are not known to be healthy."""
        norm = self.plan.normative
        try:
            healthy = select(rows, {norm.column: norm.controls}, self.cohort.columns)
        except NotApplicableError:
            return rows
        return rows.drop(index=healthy.index)

    def compared(self, without: Sequence[str]) -> list[str]:
        """Return the segmentations except those that `without` names, or whose method it names."""
        names = {name.casefold() for name in without}
        return [
            name
            for name, method in self.methods.items()
            if not {name.casefold(), method.casefold()} & names
        ]

    def value_of(self, values: Mapping[str, float], segmentation: str, default: float) -> float:
        """Return the value for a segmentation, else that for its method, else the default."""
        return values.get(segmentation, values.get(self.methods[segmentation], default))

    def summarise(
        self, rows: pd.DataFrame, measures: Sequence[str], groups: Sequence[str] = ("method",)
    ) -> pd.DataFrame:
        """Describe measures by group with the plan's bootstrap; see `summary_table`."""
        plan = self.plan
        return summary_table(
            rows,
            measures,
            groups,
            confidence=plan.confidence,
            resamples=plan.resamples,
            seed=plan.seed,
        )

    @property
    def bootstrap(self) -> dict[str, object]:
        """Entry on the plan's bootstrap among the settings of a table."""
        plan = self.plan
        return {
            "Bootstrap": f"percentile intervals, {plan.resamples} samples of participants, seed "
            f"{plan.seed}"
        }

    def by_diagnosis(self, rows: pd.DataFrame) -> pd.DataFrame | None:
        """Return the rows with a diagnosis; None if the dataset has none."""
        if "diagnosis" not in rows or rows["diagnosis"].isna().all():
            return None
        named = rows[rows["diagnosis"].notna()]
        return named.assign(diagnosis=named["diagnosis"].map(level_name))

    @cached_property
    def references(self) -> References:
        """Reference labels of the scans.

        Raises
        ------
        NotApplicableError
            If no reference is given.
        """
        if self.reference_dir is None:
            raise NotApplicableError(
                f"no reference was given (-d {self.plan.reference}=PATH names one)"
            )
        return References(self.reference_dir)
