"""Reports with every kind of content, and a parser of the pages."""

from __future__ import annotations

import hashlib
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from bids_app.report.charts import (
    Chart,
    Flow,
    FlowStep,
    Intervals,
    Line,
    Matrix,
    Scatters,
    Strips,
)
from bids_app.report.check_page import CheckReport, check_page
from bids_app.report.cohort_page import (
    CohortReport,
    Finding,
    Section,
    SessionStatus,
    cohort_page,
)
from bids_app.report.plots import figure_svg, volume_stripplot
from bids_app.report.qc_board import Board, Row, qc_board
from bids_app.report.relaxation import r1_histogram
from bids_app.report.session_page import (
    AlignmentReport,
    Anchor,
    InputFile,
    MapValues,
    Overlay,
    SessionReport,
    Volumes,
    session_page,
)
from bids_app.report.tables import ColumnTexts
from bids_app.report.viewer import viewer_of
from bids_app.report.visits_page import (
    BrainRow,
    ChangeRow,
    PairReport,
    VisitsReport,
    visits_page,
)

CHECKED = ("loss_slope", "error_mean", "error_sd", "detectable_loss", "participants_per_arm")
ATTACK = "<script>alert(1)</script>\"'&"


_HEAD = np.random.default_rng(1).uniform(50, 150, (40, 40, 40)).astype(np.float32)
_DSEG = np.zeros(_HEAD.shape, np.uint8)
_DSEG[8:16, 15:25, 15:25], _DSEG[24:32, 15:25, 15:25] = 1, 2

VOID = {"meta", "img", "input", "link", "br"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and whether every tag has its end tag in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        # Of Markup, the parser would escape what it has unescaped.
        self.feed("".join((html,)))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def session_report(text: str = "T1w") -> SessionReport:
    anchor = Anchor(
        name=text,
        file=f"sub-01/anat/{text}.nii.gz",
        shape=(182, 218, 182),
        voxel_size=(1.0, 0.9375, 3.0),
        orientation="LAS",
        volumes=(
            Volumes(
                method=text,
                contrast="T1w",
                left_ml=6.0,
                right_ml=6.126,
                icv_ml=1500.0,
                brain_ml=1200.0,
            ),
            Volumes(method="first", contrast=text, left_ml=7.0, right_ml=7.1),
        ),
        values=(
            MapValues(
                image=text,
                units="1/s",
                field="estimated",
                left_mean=0.69512,
                left_sd=0.0412,
                right_mean=20.118,
                right_sd=3.44,
            ),
        ),
        viewer=viewer_of(
            {text: _HEAD, "FLAIR": _HEAD},
            {f"{text} on T1w": _DSEG, f"first on {text}": _DSEG},
            _DSEG,
            np.diag([2.0, 2.0, 2.0, 1.0]),
        ),
        brain=Overlay("Brain mask", b"RIFF"),
        concerns=(f"thick slices in {text}",),
        alignments=(
            AlignmentReport(
                text,
                f"strategy {text}",
                ({"Strategy": text, "MutualInformation": 0.41, "Verdict": f"failed {text}"},),
                Overlay(f"Checkerboard of {text}", b"RIFF"),
                r1_histogram(np.linspace(0.3, 1.3, 5000)),
            ),
        ),
    )
    return SessionReport(
        subject=text,
        session="01",
        anchors=(anchor,),
        inputs=(InputFile(f"{text}.nii.gz", hashlib.sha256(b"").hexdigest()),),
        software={"thalbids": "0.1.0", text: text},
        methods=f"First paragraph.\n\nSecond paragraph {text}.",
        citation=f"Someone 2026 {text}",
        warnings=(f"FLAIR excluded {text}",),
        files=(f"sub-01/anat/{text} #1.tsv",),
    )


MINIMAL_SESSION = SessionReport(
    subject="01", session="", anchors=(), inputs=(), software={}, methods="", citation=""
)


def charts(text: str = "01", scans: int = 12, methods: tuple[str, ...] = ()) -> dict[str, Chart]:
    """One chart of each kind, by name, with a text as subject and in names."""
    names = methods or (f"thalnet {text}", f"first {text}", "reference")
    values = pd.DataFrame(
        [
            {
                "method": name,
                "value": 10 + number % 7 + place,
                "subject": text if number == 0 else f"{number + 1:02}",
                "session": "01" if number < 2 else "",
            }
            for place, name in enumerate(names)
            for number in range(scans)
        ]
    )
    estimates = pd.DataFrame(
        {"panel": text, "method": names, "estimate": 0.5, "low": 0.1, "high": 0.9, "p": 0.001}
    )
    return {
        "strips": Strips(values=values.assign(panel=f"panel {text}"), label=f"mL {text}"),
        "intervals": Intervals(estimates=estimates, label=f"beta {text}"),
        "scatters": Scatters(
            points=values.assign(x=values["value"], y=values["value"] - 11),
            x_label=f"x {text}",
            y_label=f"y {text}",
            lines={names[0]: (Line(-11, 1), Line(0, dashed=True))},
            notes={names[0]: f"r = 1 {text}"},
            zero=True,
        ),
        "matrix": Matrix(
            values=pd.DataFrame([[1, 0.9], [None, 1]], [text, "b"], [text, "b"], dtype="float64"),
            rows=f"mask {text}",
            columns="container",
        ),
        "flow": Flow(
            (
                FlowStep(f"all {text}", 9, lines=(f"line {text}",)),
                FlowStep("measured", 7, {f"no scan {text}": 2}),
            )
        ),
    }


def cohort_report(text: str = "01") -> CohortReport:
    volumes = pd.DataFrame(
        {
            "subject": [text, "02"],
            "session": ["01", None],
            "total_ml": [12.126, None],
            f"note {text}": [text, "fine"],
        }
    )
    plot = volume_stripplot(volumes.assign(method=text), "total_ml", title=text)
    table = pd.DataFrame({"method": [text], f"column {text}": [0.5], "p": [1e-5]})
    return CohortReport(
        dataset=f"Cohort {text}",
        sessions=(
            SessionStatus(
                subject=text, session="01", status="done", page=f"sub-{text}_ses-01.html"
            ),
            SessionStatus(subject="02", session="", status="done", page="a b#c?d:e.html"),
            SessionStatus(subject="03", session="", status="failed", reason=f"truncated {text}"),
            SessionStatus(subject="04", session="", status="skipped", reason="no T1w"),
        ),
        volumes=volumes,
        software={"thalbids": "0.1.0"},
        methods=f"Methods {text}.",
        citation=f"Someone 2026 {text}",
        sections=(
            Section(
                title=f"Volumes {text}",
                caption=f"Every scan {text}",
                svg=figure_svg(plot),
                part=f"All volumes {text}",
            ),
            Section(title="Again", svg=figure_svg(plot), part=f"Agreement {text}", folded=True),
            Section(
                title="Agreement",
                caption="Intervals are 95 %.",
                table=table,
                part=f"Agreement {text}",
            ),
            *(
                Section(
                    title=f"{name} {text}", chart=chart, file=f"group/figures/{name}", part=name
                )
                for name, chart in charts(text).items()
            ),
        ),
        columns=ColumnTexts(
            headings={"total_ml": f"Both thalami {text} (mL)", "p": "p-value"},
            descriptions={"total_ml": f"voxel count {text}", "absent": "of no table"},
            confidence=0.9,
        ),
        findings=(Finding(f"Volumes were measured {text}.", f"Agreement {text}"),),
        limits=(f"One scanner {text}.",),
    )


MINIMAL_COHORT = CohortReport(
    dataset="Empty",
    sessions=(),
    volumes=pd.DataFrame(columns=["subject", "session"]),
    software={},
    methods="",
    citation="",
)


def visits_report(text: str = "T1w") -> VisitsReport:
    known = ChangeRow(
        method=text,
        contrast=text,
        left=-1.0,
        right=-2.0,
        total=-1.5,
        raw=-1.6,
        scaled=-1.4,
        low=-2.5,
        high=-0.5,
        scale=0.1,
        scale_error=0.03,
        verdict="check",
        rank=1,
        reason=f"coil {text}",
        differences=f"coil ({text}, {text})",
    )
    unknown = ChangeRow(
        method="atlas", contrast=text, verdict="not measurable", rank=2, reason=f"slices {text}"
    )
    pair = PairReport(
        first="ses-1",
        later=text,
        changes=(known, unknown),
        brain=BrainRow(-0.4, "check", text),
        figure=Overlay(f"Visits {text}", b"\x89PNG", "png"),
    )
    return VisitsReport(
        subject=text,
        pairs=(pair, PairReport(first=text, later="ses-3", changes=(unknown,))),
        pages={text: f"sub-{text}.html"},
        history=f"visit {text}",
        software={"thalbids": "0.1.0", text: text},
        methods=f"Methods {text}.",
        citation=f"Someone 2026 {text}",
        warnings=(f"T2w of ses-2 {text}",),
    )


MINIMAL_VISITS = VisitsReport(
    subject="01", pairs=(), pages={}, software={}, methods="", citation=""
)


def board(text: str = "T1w") -> Board:
    rows = [
        Row(
            participant_id=f"sub-{number}",
            session_id="n/a",
            scan=f"sub-{number}_{text}",
            method=text,
            page=f"sub-{number}.html",
            thumbnail=b"",
            left_ml=6.0,
            right_ml=6.1,
            total_ml=12.1,
            confidence=0.9,
            flags=(f"thick slices {text}",) if number == 1 else (),
        )
        for number in range(3)
    ]
    return Board(f"Cohort {text}", tuple(rows), ((f"sub-9 {text}", f"no T1w {text}"),))


@cache
def check_report(text: str) -> CheckReport:
    """Two ways to measure one contrast, one of which gave too few pairs."""
    pairs = pd.DataFrame(
        {
            "participant_id": [f"sub-{text}"] * 4,
            "contrast": "T1w",
            "true_change": [-0.5, -1.0, -2.0, -5.0],
            "longitudinal_change": [-0.4, -1.2, -1.9, -4.9],
        }
    )
    rows = [
        {"contrast": text, "measurement": "longitudinal", "reason": "", "pairs": 4}
        | {f"{name}{end}": 1.25 for name in CHECKED for end in ("", "_ci_low", "_ci_high")}
        | {"checked_scans": 1, "participants_without_error": 175.0},
        {"contrast": text, "measurement": "cross-sectional", "reason": "fewer than 3 pairs"}
        | {"pairs": 2, "checked_scans": 1},
    ]
    summary = pd.DataFrame(rows)
    chart = Scatters(
        points=pd.DataFrame(
            {
                "method": f"{text} longitudinal",
                "x": pairs["true_change"],
                "y": pairs["longitudinal_change"],
                "subject": text,
            }
        ),
        x_label="true change (%)",
        y_label="measured change (%)",
        lines={f"{text} longitudinal": [Line(0.0, 0.98)]},
        notes={f"{text} longitudinal": "slope 0.98, error 0.28 %"},
        identity=True,
    )
    return CheckReport(
        dataset=text,
        answers=(f"{text}: in one participant, a thalamic loss of 1.2 % or more",),
        cards=summary,
        chart=chart,
        summary=summary,
        pairs=pairs,
        problems=(f"sub-{text} is not used: it cuts the brain.",),
        limits=("Visits are simulated from one scan.", text),
        columns=ColumnTexts(headings={"true_change": "True change (%)"}),
        software={"thalbids": "0.1.0"},
        methods=f"Losses were simulated.\n\n{text}",
        citation=f"Works.\n\n{text}",
    )


def html_of(name: str) -> str:
    page, kind = name.split()
    text = ATTACK if kind == "attacked" else "01" if page == "cohort" else "T1w"
    minimal = kind == "minimal"
    match page:
        case "session":
            return session_page(MINIMAL_SESSION if minimal else session_report(text))
        case "visits":
            return visits_page(MINIMAL_VISITS if minimal else visits_report(text))
        case "board":
            return qc_board(board(text))
        case "check":
            return check_page(check_report(text))
    return cohort_page(MINIMAL_COHORT if minimal else cohort_report(text))
