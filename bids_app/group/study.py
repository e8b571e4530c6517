"""What every analysis starts from: the cohort, the plan, and the tables derived from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bids_app.group.analysis_file import AnalysisPlan
from bids_app.group.cohort import SESSION, Cohort
from bids_app.group.mapping import calibrated, calibration_table
from bids_app.group.masks import LabelledScans, labelled_scans, overlap_with_reference
from bids_app.group.result import NotApplicableError
from bids_app.statistics.change import change_table
from bids_app.statistics.description import summary_table

COURSE = ["participant_id", "segmentation"]
CHANGE = ["change_ml", "percent", "annual_change_ml", "annual_percent"]
# Names of derived columns, which a clinical column must not hide.
DELTA = "{}_change"


@dataclass(frozen=True)
class Study:
    """A cohort and what to do with it.

    Attributes
    ----------
    cohort : Cohort
    plan : AnalysisPlan
    output_dir : Path
        Holds the masks.
    reference_dir : Path or None
        Derivatives dataset with reference labels.
    siena_dir : Path or None
        Results of SIENA.
    calibrate : bool
        Whether calibrated volumes are asked for.
    stored_calibration : DataFrame or None
        Applied instead of one that is fitted to the reference labels.
    """

    cohort: Cohort
    plan: AnalysisPlan
    output_dir: Path
    reference_dir: Path | None = None
    siena_dir: Path | None = None
    calibrate: bool = False
    stored_calibration: pd.DataFrame | None = None

    @cached_property
    def table(self) -> pd.DataFrame:
        """The cohort's table, with the calibrated volumes if they are asked for.

        Raises
        ------
        NotApplicableError
            If they are, and there is no calibration.
        """
        table = self.cohort.table
        if not self.calibrate:
            return table
        stored = self.stored_calibration
        known = self.calibration if stored is None else stored
        volumes = calibrated(table, known, self.plan.confidence)
        place = int(np.argmax(table.columns == "total_ml")) + 1
        return pd.concat([table.iloc[:, :place], volumes, table.iloc[:, place:]], axis="columns")

    @cached_property
    def scans(self) -> pd.DataFrame:
        """What is analysed: segmentations of the plan, but flagged ones if so asked.

        Raises
        ------
        NotApplicableError
            If nothing is left.
        """
        table = self.table
        if self.plan.flagged == "leave out":
            table = table[table["qc"] != "check"].reset_index(drop=True)
            if table.empty:
                raise NotApplicableError("the quality check flags every volume")
        wanted = self.plan.segmentations
        if not wanted:
            return table
        keep = table["segmentation"].isin(wanted)
        if not keep.any():
            present = sorted(table["segmentation"].unique())
            raise NotApplicableError(f"none of the segmentations {list(wanted)} is in {present}")
        return table[keep].reset_index(drop=True)

    @cached_property
    def volumes(self) -> pd.DataFrame:
        """One row per session and segmentation: the first scan, repeat scans set aside."""
        return self.scans.sort_values([*SESSION, "visit", "scan"], kind="stable").drop_duplicates(
            [*SESSION, "segmentation"], ignore_index=True
        )

    @property
    def segmentations(self) -> list[str]:
        """Segmentations in order of appearance."""
        return list(dict.fromkeys(self.scans["segmentation"]))

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """One row per session: its clinical columns, and a column with the mL of each method."""
        clinical = [*SESSION, "visit", "interval", "icv_ml", *self.cohort.columns]
        rows = self.volumes[list(dict.fromkeys(clinical))].drop_duplicates(SESSION)
        wide = self.volumes.assign(key=self.volumes["session_id"].fillna("")).pivot(
            index=["participant_id", "key"], columns="segmentation", values="total_ml"
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

        It is the session nearest to the plan's time after the first one, within its limits;
        the second session where times are unknown.
        """
        plan = self.plan.sessions
        known = self.sessions["participant_id"].isin(self.baseline["participant_id"])
        later = self.sessions[known & (self.sessions["visit"] > 0)]
        low, high = plan.followup_range
        fits = later["interval"].isna() | later["interval"].between(low, high)
        distance = (later["interval"] - plan.followup_years).abs().fillna(later["visit"])
        nearest = later.assign(distance=distance)[fits].sort_values("distance", kind="stable")
        chosen = nearest.drop_duplicates("participant_id").drop(columns="distance")
        return chosen.sort_values("participant_id", ignore_index=True)

    @cached_property
    def changes(self) -> pd.DataFrame:
        """One row per participant and segmentation: change of volume from first to follow-up.

        The columns of `COURSE`, ``interval`` (years, NaN if unknown), ``baseline_ml``,
        ``followup_ml``, the columns of `CHANGE`, and the clinical columns of the first session.
        """
        if self.followup.empty:
            raise NotApplicableError("no participant has a follow-up session")
        chosen = self.followup[["participant_id", "visit", "interval"]]
        first = chosen.assign(visit=0, interval=0.0)
        pairs = pd.concat([first, chosen], ignore_index=True)
        # Sessions without known times keep their order, and their rates are taken out below.
        pairs["years"] = pairs["interval"].fillna(pairs["visit"])
        visits = self.volumes.merge(pairs.drop(columns="interval"), on=["participant_id", "visit"])
        # A method that failed at the first session has no change, rather than a later start.
        visits = visits[visits.groupby(COURSE)["visit"].transform("min") == 0]
        table = change_table(visits, "total_ml", keys=COURSE, time="years")
        table = table.rename(
            columns={
                "baseline": "baseline_ml",
                "value": "followup_ml",
                "change": "change_ml",
                "annual_change": "annual_change_ml",
            }
        ).drop(columns=["followup", "interval"])
        table = table.merge(chosen[["participant_id", "interval"]], on="participant_id")
        unknown = table["interval"].isna()
        table.loc[unknown, ["annual_change_ml", "annual_percent"]] = np.nan
        clinical = self.baseline[["participant_id", *self.cohort.columns]]
        ordered = [*COURSE, "interval", "baseline_ml", "followup_ml", *CHANGE]
        order = {name: place for place, name in enumerate(self.segmentations)}
        table = table.sort_values(
            ["participant_id", "segmentation"],
            key=lambda column: column.map(order) if column.name == "segmentation" else column,
        )
        return table[ordered].merge(clinical, on="participant_id", how="left")

    @cached_property
    def overlap(self) -> tuple[pd.DataFrame, list[str]]:
        """Overlap of every mask with the reference, and the problems met.

        Raises
        ------
        NotApplicableError
            If no reference is given, or it fits no scan.
        """
        if self.reference_dir is None:
            raise NotApplicableError(
                f"no reference was given (-d {self.plan.reference}=PATH names one)"
            )
        table, problems = overlap_with_reference(self.scans, self.output_dir, self.reference_dir)
        return table, problems

    @cached_property
    def labelled(self) -> LabelledScans:
        """Volumes of the scans with a reference, repeat scans included.

        Raises
        ------
        NotApplicableError
            If no reference is given, or it fits no scan.
        """
        if self.reference_dir is None:
            raise NotApplicableError(
                f"no reference was given (-d {self.plan.reference}=PATH names one)"
            )
        found = labelled_scans(self.cohort.table, self.output_dir, self.reference_dir)
        if found.pairs.empty:
            raise NotApplicableError(found.problems[0], found.problems)
        return found

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """The calibration to the reference, see `calibration_table`.

        Raises
        ------
        NotApplicableError
            If no reference is given, or it fits too few participants.
        """
        table = calibration_table(self.labelled, self.plan.confidence)
        if table["mapping"].isna().all():
            raise NotApplicableError(table["reason"].iloc[0], self.labelled.problems)
        return table

    def reference_overlap(self) -> pd.DataFrame:
        """Return the overlap of the first scan with a reference of each participant.

        More scans of the same participant would count as independent ones.

        Raises
        ------
        NotApplicableError
            If there is nothing to compare.
        """
        table, problems = self.overlap
        if table.empty:
            raise NotApplicableError(problems[0], problems)
        first = table.groupby("participant_id")["scan"].transform("first")
        return table[table["scan"] == first].reset_index(drop=True)

    def select(self, rows: pd.DataFrame, subset: Mapping[str, Sequence[str]]) -> pd.DataFrame:
        """Return the rows with the wanted levels by column, whatever their case.

        Raises
        ------
        NotApplicableError
            If the column is absent or nothing is left.
        """
        for column, levels in subset.items():
            if column not in rows:
                raise NotApplicableError(f"the subset's column '{column}' is absent")
            known = self.cohort.columns.get(column)
            meanings = known.levels if known else {}
            wanted = {level.casefold() for level in levels}
            texts = rows[column].map(level_name, na_action="ignore")
            meant = texts.map(lambda text, m=meanings: m.get(text, text), na_action="ignore")
            rows = rows[texts.str.casefold().isin(wanted) | meant.str.casefold().isin(wanted)]
            if rows.empty:
                raise NotApplicableError(f"no participant has {column} in {list(levels)}")
        return rows

    def compared(self, without: Sequence[str]) -> list[str]:
        """Return the segmentations but for those, or whose method, is in `without`."""
        names = {name.casefold() for name in without}
        methods = self.scans.drop_duplicates("segmentation").set_index("segmentation")["method"]
        return [
            name
            for name in self.segmentations
            if not {name.casefold(), str(methods[name]).casefold()} & names
        ]

    def of_segmentation(
        self, values: Mapping[str, float], segmentation: str, default: float
    ) -> float:
        """Look a value up by the name of a segmentation, else by that of its method."""
        rows = self.scans["segmentation"] == segmentation
        method = str(self.scans.loc[rows, "method"].iloc[0])
        return values.get(segmentation, values.get(method, default))

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
        """What to say of the plan's bootstrap beside a table."""
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


def level_name(value: object) -> str:
    """Write a level as in its table: a number without needless decimals."""
    return f"{value:g}" if isinstance(value, float) else str(value)
