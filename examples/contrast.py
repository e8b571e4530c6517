"""Signal of each tissue in an MR sequence, from published relaxation times."""

from __future__ import annotations

import numpy as np

# T1 in ms at 3 T and proton density relative to water; see `t1w_contrast` for the sources.
_RELAXATION: dict[str, tuple[float, float]] = {
    "white matter": (832.0, 0.70),
    "cerebellar white matter": (832.0, 0.70),
    "brainstem": (900.0, 0.72),
    "ventral diencephalon": (950.0, 0.73),
    "pallidum": (1043.0, 0.74),
    "left thalamus": (1218.0, 0.80),
    "right thalamus": (1218.0, 0.80),
    "putamen": (1337.0, 0.82),
    "caudate": (1483.0, 0.83),
    "accumbens": (1483.0, 0.83),
    "cortex": (1331.0, 0.82),
    "cerebellar cortex": (1331.0, 0.82),
    "hippocampus": (1331.0, 0.82),
    "amygdala": (1331.0, 0.82),
    "choroid plexus": (2000.0, 0.90),
    "ventricle": (3817.0, 1.0),
    "cerebrospinal fluid": (3817.0, 1.0),
    "eye": (3817.0, 1.0),
    "soft tissue": (1412.0, 0.80),
    "mucosa": (1412.0, 0.50),
    "skin": (600.0, 0.60),
    "bone": (600.0, 0.10),
    "background": (1000.0, 0.0),
}

# R2* in 1/s at 3 T and MT saturation in percent units; see `tissue_parameters` for the sources.
_DECAY_AND_TRANSFER: dict[str, tuple[float, float]] = {
    "white matter": (21.9, 1.6),
    "cerebellar white matter": (21.9, 1.6),
    "brainstem": (21.0, 1.4),
    "ventral diencephalon": (26.0, 1.2),
    "pallidum": (37.8, 1.2),
    "left thalamus": (21.0, 1.0),
    "right thalamus": (21.0, 1.0),
    "putamen": (26.0, 0.85),
    "caudate": (23.0, 0.8),
    "accumbens": (20.0, 0.8),
    "cortex": (17.8, 0.8),
    "cerebellar cortex": (17.8, 0.8),
    "hippocampus": (17.8, 0.8),
    "amygdala": (17.8, 0.8),
    "choroid plexus": (10.0, 0.3),
    "ventricle": (2.0, 0.02),
    "cerebrospinal fluid": (2.0, 0.02),
    "eye": (2.0, 0.02),
    "soft tissue": (30.0, 1.5),
    "mucosa": (30.0, 0.5),
    "skin": (40.0, 0.3),
    "bone": (80.0, 0.3),
    "background": (1.0, 0.0),
}


def tissue_parameters() -> dict[str, dict[str, float]]:
    """Return the quantitative parameters of every tissue at 3 T.

    T1 and proton density as in `t1w_contrast`. R2* of pallidum, frontal white matter and
    prefrontal cortex: Gelman et al. 1999, Radiology 210:759 (R2 + R2'); the other nuclei are set
    between them in the order of their iron content. MT saturation of grey and white matter:
    rounded after Weiskopf et al. 2013, doi:10.3389/fnins.2013.00095. Tissues outside the brain
    are set for a realistic appearance of the head.

    Returns
    -------
    dict of str to dict
        ``R1map`` and ``R2starmap`` in 1/s, ``PDmap`` relative to water and ``MTsat`` in percent
        units, each by the names of the anatomy's tissues.
    """
    names = list(_RELAXATION)
    return {
        "R1map": {name: 1000 / _RELAXATION[name][0] for name in names},
        "PDmap": {name: _RELAXATION[name][1] for name in names},
        "R2starmap": {name: _DECAY_AND_TRANSFER[name][0] for name in names},
        "MTsat": {name: _DECAY_AND_TRANSFER[name][1] for name in names},
    }


def mprage_signal(t1: float, proton_density: float) -> float:
    """Signal of an inversion-prepared gradient-echo train at the centre of k-space.

    Longitudinal magnetisation in the steady state of inversion, recovery, 176 pulses of 9 degrees
    at 7.1 ms, and recovery; inversion efficiency 0.96, TI 900 ms to the middle of the train, TR
    2300 ms. The model is that of Deichmann et al. 2000 (NeuroImage 12:112) for a train with linear
    encoding; transverse decay is neglected.

    Parameters
    ----------
    t1 : float
        Longitudinal relaxation time in ms, positive.
    proton_density : float
        Relative to water.

    Returns
    -------
    float
        Magnitude in units of the fully relaxed signal of water.
    """
    tr, ti, echo_spacing, pulses, flip = 2300.0, 900.0, 7.1, 176, np.deg2rad(9.0)
    half_train = echo_spacing * pulses / 2

    # Each step turns the magnetisation M into a M + b; the whole cycle leaves M as it was.
    def recover(a: float, b: float, time: float) -> tuple[float, float]:
        decay = np.exp(-time / t1)
        return a * decay, 1 + (b - 1) * decay

    def half_readout(a: float, b: float) -> tuple[float, float]:
        decay = np.exp(-echo_spacing / t1)
        steady = (1 - decay) / (1 - np.cos(flip) * decay)
        left = (np.cos(flip) * decay) ** (pulses // 2)
        return a * left, steady + (b - steady) * left

    a, b = recover(-0.96, 0.0, ti - half_train)
    centre_a, centre_b = half_readout(a, b)
    a, b = half_readout(centre_a, centre_b)
    a, b = recover(a, b, tr - ti - half_train)
    magnetisation = b / (1 - a)
    return float(proton_density * abs(centre_a * magnetisation + centre_b) * np.sin(flip))


def t1w_contrast() -> dict[str, float]:
    """Signal of every tissue in an MPRAGE at 3 T.

    T1 of white matter and cortex: Wansapura et al. 1999, J Magn Reson Imaging 9:531; of the deep
    grey nuclei: Gelman et al. 2001, Magn Reson Med 45:71; of cerebrospinal fluid: Lu et al. 2005,
    J Magn Reson Imaging 22:13; of muscle (soft tissue): Stanisz et al. 2005
    (doi:10.1002/mrm.20605). Brainstem, ventral diencephalon and choroid plexus are set between
    these as mixtures of grey matter, white matter and fluid, and skin, mucosa and bone merely so
    that a head looks like one. Proton densities are rounded to what is usual.

    Returns
    -------
    dict of str to float
        Relative to white matter, by the names of the anatomy's tissues.
    """
    signals = {name: mprage_signal(*values) for name, values in _RELAXATION.items()}
    return {name: signal / signals["white matter"] for name, signal in signals.items()}


def flair_contrast() -> dict[str, float]:
    """Signal of every tissue in a FLAIR at 3 T.

    No sequence is modelled: grey matter is set a third brighter than white matter and fluid almost
    dark, as in real images.

    Returns
    -------
    dict of str to float
        Relative to white matter, by the names of the anatomy's tissues.
    """
    signals = dict.fromkeys(_RELAXATION, 1.25)
    white = ("white matter", "cerebellar white matter", "brainstem", "pallidum")
    signals.update(dict.fromkeys(white, 1.0))
    signals.update(dict.fromkeys(("left thalamus", "right thalamus"), 1.12))
    signals.update(dict.fromkeys(("ventricle", "cerebrospinal fluid", "eye"), 0.2))
    outside = {"skin": 1.1, "soft tissue": 0.7, "mucosa": 0.6, "choroid plexus": 0.7, "bone": 0.15}
    return {**signals, **outside, "background": 0.0}
