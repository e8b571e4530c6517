"""What was done beside segmenting, as far as the methods section tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bids_app.alignment.strategies import CORRELATION, STRATEGIES
from bids_app.segmentation.fusion import rule_of

# What methods are called in the tables where they saw all scans of a participant in one space.
LONGITUDINAL = "Longitudinal"
# The transmit field of an R1 map that was there already, in its JSON file.
FIELD_OF_FOUND_MAP = "as in the map found"

# What each step adds: a sentence, and the works to cite.
STEPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "alignment": (
        "Other contrasts of a session were aligned to the anatomical scan by registration with "
        "ANTs (Avants et al. 2011) and judged by their mutual information within the brain; the "
        "JSON file beside each aligned image names the strategy that was taken.",
        (
            "Avants BB, Tustison NJ, Song G, Cook PA, Klein A, Gee JC. A reproducible evaluation "
            "of ANTs similarity metric performance in brain image registration. NeuroImage "
            "2011;54:2033-2044. doi:10.1016/j.neuroimage.2010.09.025",
        ),
    ),
    "correlation": (
        "Where that served R1 better, it was moved on from there by correlation within the brain.",
        (),
    ),
    "union": (
        "Masks of two contrasts were fused to their union (Ibrahim et al. 2026).",
        (),
    ),
    "majority": (
        "Masks of three contrasts were fused by majority (Ibrahim et al. 2026).",
        (),
    ),
    "mean": (
        "Probabilities from several contrasts were averaged and cut at 0.5.",
        (),
    ),
    "staple": (
        "Masks of several contrasts were fused by STAPLE (Warfield et al. 2004).",
        (
            "Warfield SK, Zou KH, Wells WM. Simultaneous truth and performance level estimation "
            "(STAPLE): an algorithm for the validation of image segmentation. IEEE Trans Med "
            "Imaging 2004;23:903-921. doi:10.1109/TMI.2004.828354",
        ),
    ),
    "longitudinal": (
        "For changes, the scans of a participant were moved half-way between one another and "
        "interpolated once (Reuter and Fischl 2011; Reuter et al. 2012), differences between "
        "their intensity inhomogeneities were removed (Lewis and Fox 2004), and they were "
        "segmented there. The mean of a participant's outlines was carried to each scan by a "
        "deformation of its tissue (Lucas and Kanade 1981), so that volumes differ between scans "
        "as the Jacobian integrals of the deformations do.",
        (
            "Lewis EB, Fox NC. Correction of differential intensity inhomogeneity in longitudinal "
            "MR images. NeuroImage 2004;23:75-83. doi:10.1016/j.neuroimage.2004.04.030",
            "Lucas BD, Kanade T. An iterative image registration technique with an application "
            "to stereo vision. Proceedings of the 7th International Joint Conference on "
            "Artificial Intelligence 1981:674-679.",
            "Reuter M, Fischl B. Avoiding asymmetry-induced bias in longitudinal image "
            "processing. NeuroImage 2011;57:19-21. doi:10.1016/j.neuroimage.2011.02.076",
            "Reuter M, Schmansky NJ, Rosas HD, Fischl B. Within-subject template estimation for "
            "unbiased longitudinal image analysis. NeuroImage 2012;61:1402-1418. "
            "doi:10.1016/j.neuroimage.2012.02.084",
        ),
    ),
    "found map": (
        "Maps of R1 or T1 were taken as they were found in the dataset.",
        (),
    ),
    "gibbs": (
        "Gibbs ringing was removed from quantitative acquisitions by local subvoxel shifts along "
        "three axes (Kellner et al. 2016; Bautista et al. 2021).",
        (
            "Kellner E, Dhital B, Kiselev VG, Reisert M. Gibbs-ringing artifact removal based on "
            "local subvoxel-shifts. Magn Reson Med 2016;76:1574-1581. doi:10.1002/mrm.26054",
            "Bautista T, O'Muircheartaigh J, Hajnal JV, Tournier JD. Removal of Gibbs ringing "
            "artefacts for 3D acquisitions using subvoxel shifts. Proc ISMRM 2021;29:3535.",
        ),
    ),
    "mpm": (
        "R1 and its companions were mapped from multi-parameter acquisitions: the decay by "
        "ESTATICS (Weiskopf et al. 2014), R1, and MT saturation where it was acquired, by the "
        "rational approximation of the Ernst equation (Helms et al. 2008).",
        (
            "Weiskopf N, Callaghan MF, Josephs O, Lutti A, Mohammadi S. Estimating the apparent "
            "transverse relaxation time (R2*) from images with different contrasts (ESTATICS) "
            "reduces motion artifacts. Front Neurosci 2014;8:278. doi:10.3389/fnins.2014.00278",
            "Helms G, Dathe H, Dechent P. Quantitative FLASH MRI at 3T using a rational "
            "approximation of the Ernst equation. Magn Reson Med 2008;59:667-672. "
            "doi:10.1002/mrm.21542",
            "Helms G, Dathe H, Kallenberg K, Dechent P. High-resolution maps of magnetization "
            "transfer with inherent correction for RF inhomogeneity and T1 relaxation obtained "
            "from 3D FLASH MRI. Magn Reson Med 2008;60:1396-1407. doi:10.1002/mrm.21732",
        ),
    ),
    "spoiling": (
        "R1 was corrected for incomplete spoiling (Preibisch and Deichmann 2009).",
        (
            "Preibisch C, Deichmann R. Influence of RF spoiling on the stability and accuracy of "
            "T1 mapping based on spoiled FLASH with varying flip angles. Magn Reson Med "
            "2009;61:125-135. doi:10.1002/mrm.21776",
        ),
    ),
    "vfa": (
        "R1 was mapped from acquisitions with several flip angles by a weighted linear fit (Deoni "
        "et al. 2003; Chang et al. 2008).",
        (
            "Deoni SCL, Rutt BK, Peters TM. Rapid combined T1 and T2 mapping using gradient "
            "recalled acquisition in the steady state. Magn Reson Med 2003;49:515-526. "
            "doi:10.1002/mrm.10407",
            "Chang LC, Koay CG, Basser PJ, Pierpaoli C. Linear least-squares method for unbiased "
            "estimation of T1 from SPGR signals. Magn Reson Med 2008;60:496-501. "
            "doi:10.1002/mrm.21669",
        ),
    ),
    "mp2rage": (
        "R1 was mapped from MP2RAGE by its sequence equations (Marques et al. 2010).",
        (
            "Marques JP, Kober T, Krueger G, van der Zwaag W, Van de Moortele PF, Gruetter R. "
            "MP2RAGE, a self bias-field corrected sequence for improved segmentation and "
            "T1-mapping at high field. NeuroImage 2010;49:1271-1281. "
            "doi:10.1016/j.neuroimage.2009.10.002",
        ),
    ),
    "measured field": (
        "R1 was corrected with a measured transmit field.",
        (),
    ),
    "estimated field": (
        "Where no transmit field was measured, R1 was corrected with one estimated from its own "
        "map after the idea of UNICORT (Weiskopf et al. 2011).",
        (
            "Weiskopf N, Lutti A, Helms G, Novak M, Ashburner J, Hutton C. Unified segmentation "
            "based correction of R1 brain maps for RF transmit field inhomogeneities (UNICORT). "
            "NeuroImage 2011;54:2116-2124. doi:10.1016/j.neuroimage.2010.10.023",
        ),
    ),
}

# All of them start from a coarse registration by ANTs.
_BY_ANTS = {strategy.name for own in STRATEGIES.values() for strategy in own}

# What the JSON file of a computed R1 map holds where a step was taken: field, and text within.
_MARKS: dict[str, tuple[str, str]] = {
    "gibbs": ("EstimationAlgorithm", "Gibbs unringing"),
    "mpm": ("EstimationAlgorithm", "ESTATICS"),
    "spoiling": ("EstimationAlgorithm", ", spoiling correction"),
    "vfa": ("EstimationAlgorithm", "DESPOT1"),
    "mp2rage": ("EstimationAlgorithm", "MP2RAGE"),
    "measured field": ("TransmitField", "measured,"),
    "estimated field": ("TransmitField", "UNICORT"),
}


def steps_of(
    measured: Iterable[tuple[str, str]],
    strategies: Iterable[str],
    r1_maps: Iterable[Mapping[str, object]],
) -> list[str]:
    """Name the steps that were taken.

    Parameters
    ----------
    measured : iterable of (str, str)
        Method and contrast as they stand in the tables of volumes, where fused contrasts bear the
        name of their ensemble.
    strategies : iterable of str
        Those by which images were aligned.
    r1_maps : iterable of mapping
        Content of the JSON file of each R1 map.

    Returns
    -------
    list of str
        Keys of ``STEPS``, in its order.
    """
    taken: set[str] = set()
    for method, contrast in measured:
        if rule := rule_of(contrast):
            taken.add(rule)
        if method.endswith(LONGITUDINAL):
            taken.add("longitudinal")
    for strategy in strategies:
        if strategy in _BY_ANTS:
            taken.add("alignment")
        if strategy == CORRELATION.name:
            taken.add("correlation")
    for fields in r1_maps:
        if fields["TransmitField"] == FIELD_OF_FOUND_MAP:
            taken.add("found map")
            continue
        for step, (name, text) in _MARKS.items():
            if text in str(fields.get(name)):
                taken.add(step)
    return [step for step in STEPS if step in taken]
