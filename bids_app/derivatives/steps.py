"""The processing steps that a methods text reports where they were taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from bids_app.alignment.strategies import STRATEGIES
from bids_app.derivatives.names import LONGITUDINAL
from bids_app.segmentation.fusion import rule_of

# Field of the JSON sidecars that lists the steps by which an image was made.
FIELD = "ProcessingSteps"


class Step(StrEnum):
    """A step in addition to segmentation; its value is written to JSON sidecars.

    The order is that of the methods text.

    Attributes
    ----------
    sentence : str
        For the methods text.
    citations : tuple of str
        Keys of ``bids_app.derivatives.references.REFERENCES``.
    """

    sentence: str
    citations: tuple[str, ...]

    def __new__(cls, value: str, sentence: str, *citations: str) -> Step:
        """Attach the sentence and the works that it cites to the value."""
        step = str.__new__(cls, value)
        step._value_ = value
        step.sentence = sentence
        step.citations = citations
        return step

    ALIGNMENT = (
        "alignment",
        "Other contrasts of a session were aligned to the anatomical scan by registration with "
        "ANTs (Avants et al. 2011) and accepted by their mutual information within the brain mask; "
        "the JSON sidecar of each aligned image names the selected strategy.",
        "avants2011",
    )
    CORRELATION = (
        "correlation-based refinement",
        "For R1, correlation-based refinement within the brain mask was used where it gave the "
        "higher mutual information.",
    )
    UNION = (
        "union",
        "Masks of two contrasts were fused by their union (Ibrahim et al. 2026).",
        "ibrahim2026",
    )
    MAJORITY = (
        "majority",
        "Masks of three contrasts were fused by majority vote (Ibrahim et al. 2026).",
        "ibrahim2026",
    )
    MEAN = (
        "mean",
        "Probabilities from several contrasts were averaged and thresholded at 0.5.",
    )
    STAPLE = (
        "staple",
        "Masks of several contrasts were fused by STAPLE (Warfield et al. 2004).",
        "warfield2004",
    )
    LONGITUDINAL = (
        "longitudinal",
        "For longitudinal measurements, the scans of a participant were resampled once to the "
        "space half-way between them (Reuter and Fischl 2011; Reuter et al. 2012), corrected for "
        "differential intensity inhomogeneity (Lewis and Fox 2004) and segmented in that space. "
        "The mean of a participant's segmentations was propagated to each scan by non-linear "
        "registration (Lucas and Kanade 1981), so that volume differences between scans are those "
        "of the Jacobian integrals of the deformations.",
        "lewis2004",
        "lucas1981",
        "reuter2011",
        "reuter2012",
    )
    TEMPLATE = (
        "normalisation to a template",
        "The brain of each scan was registered to the ICBM 152 non-linear symmetric template of "
        "2009 (version a; Fonov et al. 2011), affinely and by symmetric normalisation with ANTs "
        "(Avants et al. 2008).",
        "avants2008",
        "fonov2011",
    )
    EXISTING_MAP = (
        "existing map",
        "Existing R1 or T1 maps were used.",
    )
    GIBBS = (
        "Gibbs unringing",
        "Gibbs ringing was removed from quantitative acquisitions by local subvoxel shifts along "
        "three axes (Kellner et al. 2016; Bautista et al. 2021).",
        "kellner2016",
        "bautista2021",
    )
    MPM = (
        "multi-parameter mapping",
        "R1 and the accompanying maps (R2*, PD and, where acquired, MT saturation) were computed "
        "from multi-parameter acquisitions: the decay by ESTATICS (Weiskopf et al. 2014), R1, PD "
        "and MT saturation by the rational approximation of the Ernst equation (Helms et al. "
        "2008).",
        "weiskopf2014",
        "helms2008a",
        "helms2008b",
    )
    SPOILING = (
        "spoiling correction",
        "R1 was corrected for incomplete spoiling (Preibisch and Deichmann 2009).",
        "preibisch2009",
    )
    VFA = (
        "variable flip angle",
        "R1 was computed from acquisitions with variable flip angles by a weighted linear fit "
        "(Deoni et al. 2003; Chang et al. 2008).",
        "deoni2003",
        "chang2008",
    )
    MP2RAGE = (
        "MP2RAGE",
        "R1 was computed from MP2RAGE by its sequence equations (Marques et al. 2010).",
        "marques2010",
    )
    INVERSION_RECOVERY = (
        "inversion recovery",
        "T1 was fitted to magnitudes at several inversion times with restored polarity (Barral et "
        "al. 2010).",
        "barral2010",
    )
    MEASURED_FIELD = (
        "measured transmit field",
        "R1 was corrected with a measured transmit field map.",
    )
    ESTIMATED_FIELD = (
        "estimated transmit field",
        "Where no transmit field was measured, R1 was corrected with a field estimated from the R1 "
        "map itself, following the idea of UNICORT (Weiskopf et al. 2011).",
        "weiskopf2011",
    )


# By name of the strategy. All of them start from a rigid registration by ANTs.
_ALIGNMENTS = {
    strategy.name: (Step.ALIGNMENT, *((Step.CORRELATION,) if key == "correlation" else ()))
    for key, strategy in STRATEGIES.items()
}


def steps_of_alignment(strategy: str) -> tuple[Step, ...]:
    """List the steps of an alignment.

    Parameters
    ----------
    strategy : str
        Name of the selected strategy; those of other programs are reported with the program.
    """
    return _ALIGNMENTS.get(strategy, ())


def steps_of(measured: Iterable[tuple[str, str]], recorded: Iterable[Step] = ()) -> list[Step]:
    """List the steps behind some results, each once and in the order of the methods text.

    Parameters
    ----------
    measured : iterable of (str, str)
        Columns ``method`` and ``contrast`` of the tables of volumes; the rule of fusion and
        longitudinal methods are part of these names.
    recorded : iterable of Step
        Those that JSON sidecars list.

    Examples
    --------
    >>> [step.value for step in steps_of([("thalnet", "T1wFLAIR")], [Step.ALIGNMENT])]
    ['alignment', 'union']
    """
    taken = set(recorded)
    for method, contrast in measured:
        if rule := rule_of(contrast):
            taken.add(Step[rule.upper()])
        if method.endswith(LONGITUDINAL):
            taken.add(Step.LONGITUDINAL)
    return [step for step in Step if step in taken]


def recorded_steps(fields: Mapping[str, object]) -> tuple[Step, ...]:
    """Read the steps that a JSON sidecar lists.

    Parameters
    ----------
    fields : mapping
        Content of the sidecar. Files of earlier versions list no steps; steps that this version
        does not know are ignored.

    Examples
    --------
    >>> [step.name for step in recorded_steps({"ProcessingSteps": ["alignment", "magic"]})]
    ['ALIGNMENT']
    >>> recorded_steps({})
    ()
    """
    values = fields.get(FIELD)
    return tuple(step for step in Step if isinstance(values, list) and step.value in values)
