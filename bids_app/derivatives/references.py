"""Works that the methods paragraph cites."""

REFERENCES = {
    "bland1986": "Bland JM, Altman DG. Statistical methods for assessing agreement between two "
    "methods of clinical measurement. Lancet 1986;327:307-310.",
    "benjamini1995": "Benjamini Y, Hochberg Y. Controlling the false discovery rate: a practical "
    "and powerful approach to multiple testing. J R Stat Soc B 1995;57:289-300.",
    "coll2024": "Coll L, Pareto D, Carbonell-Mirabent P, et al. Global and regional deep learning "
    "models for multiple sclerosis stratification from MRI. J Magn Reson Imaging 2024;60:258-267.",
    "fox2000": "Fox NC, Cousens S, Scahill R, Harvey RJ, Rossor MN. Using serial registered brain "
    "magnetic resonance imaging to measure disease progression in Alzheimer disease: power "
    "calculations and estimates of sample size to detect treatment effects. Arch Neurol "
    "2000;57:339-344.",
    "hall2009": "Hall P, Miller H. Using the bootstrap to quantify the authority of an empirical "
    "ranking. Ann Stat 2009;37:3929-3959.",
    "heimann2009": "Heimann T, van Ginneken B, Styner MA, et al. Comparison and evaluation of "
    "methods for liver segmentation from CT datasets. IEEE Trans Med Imaging 2009;28:1251-1265.",
    "ibrahim2026": "Ibrahim OA, Trang H, Chen Q, et al. Microstructure-informed deep learning "
    "improves thalamic atrophy segmentation and clinical associations in multiple sclerosis and "
    "related neuroimmunological diseases. 2026.",
    "lin1989": "Lin LI. A concordance correlation coefficient to evaluate reproducibility. "
    "Biometrics 1989;45:255-268 (correction 2000;56:324-325).",
    "mackinnon1985": "MacKinnon JG, White H. Some heteroskedasticity-consistent covariance matrix "
    "estimators with improved finite sample properties. J Econom 1985;29:305-325.",
    "mcgraw1996": "McGraw KO, Wong SP. Forming inferences about some intraclass correlation "
    "coefficients. Psychol Methods 1996;1:30-46.",
    "deepgrai": "Zivadinov R, Bergsland N, Jakimovski D, et al. Thalamic atrophy measured by "
    "artificial intelligence in a multicentre clinical routine real-world study is associated "
    "with disability progression. J Neurol Neurosurg Psychiatry 2022;93:1128-1136.",
    "levene1960": "Levene H. Robust tests for equality of variances. In: Contributions to "
    "Probability and Statistics. Stanford University Press, 1960:278-292.",
    "opfer2022": "Opfer R, Krüger J, Spies L, et al. Automatic segmentation of the thalamus using "
    "a massively trained 3D convolutional neural network: higher sensitivity for the detection of "
    "reduced thalamus volume by improved inter-scanner stability. Eur Radiol 2022, "
    "doi:10.1007/s00330-022-09170-y.",
    "nakamura2014": "Nakamura K, Guizard N, Fonov VS, et al. Jacobian integration method increases "
    "the statistical power to measure gray matter atrophy in multiple sclerosis. NeuroImage Clin "
    "2014;4:10-17.",
    "rosner1990": "Rosner B, Spiegelman D, Willett WC. Correction of logistic regression relative "
    "risk estimates and confidence intervals for measurement error. Am J Epidemiol "
    "1990;132:734-745.",
    "smith2002": "Smith SM, Zhang Y, Jenkinson M, et al. Accurate, robust, and automated "
    "longitudinal and cross-sectional brain change analysis. NeuroImage 2002;17:479-489.",
    "statsmodels": "Seabold S, Perktold J. statsmodels: econometric and statistical modeling with "
    "Python. Proceedings of the 9th Python in Science Conference, 2010.",
    "steiger1980": "Steiger JH. Tests for comparing elements of a correlation matrix. Psychol Bull "
    "1980;87:245-251.",
    "wilcoxon1945": "Wilcoxon F. Individual comparisons by ranking methods. Biometrics Bull "
    "1945;1:80-83.",
    "williams1959": "Williams EJ. The comparison of regression variables. J R Stat Soc B "
    "1959;21:396-399.",
    "baniasadi2023": "Baniasadi M, Petersen MV, Gonçalves J, et al. DBSegment: fast and robust "
    "segmentation of deep brain structures considering domain generalization. Hum Brain Mapp "
    "2023;44:762-778.",
    "billot2023": "Billot B, Greve DN, Puonti O, et al. SynthSeg: segmentation of brain MRI scans "
    "of any contrast and resolution without retraining. Med Image Anal 2023;86:102789. "
    "doi:10.1016/j.media.2023.102789",
    "buckner2004": "Buckner RL, Head D, Parker J, et al. A unified approach for morphometric and "
    "functional data analysis in young, old, and demented adults using automated atlas-based head "
    "size normalization. NeuroImage 2004;23:724-738.",
    "fischl2002": "Fischl B, Salat DH, Busa E, et al. Whole brain segmentation: automated labeling "
    "of neuroanatomical structures in the human brain. Neuron 2002;33:341-355.",
    "goebl2025": "Goebl P, Wingrove J, Abdelmannan O, et al. Enabling new insights from old scans "
    "by repurposing clinical MRI archives for multiple sclerosis research. Nat Commun 2025;16. "
    "doi:10.1038/s41467-025-58274-8",
    "henschel2020": "Henschel L, Conjeti S, Estrada S, Diers K, Fischl B, Reuter M. FastSurfer: a "
    "fast and accurate deep learning based neuroimaging pipeline. NeuroImage 2020;219:117012.",
    "henschel2022": "Henschel L, Kügler D, Reuter M. FastSurferVINN: building "
    "resolution-independence into deep learning segmentation methods. NeuroImage 2022;251:118933.",
    "jenkinson2002": "Jenkinson M, Bannister P, Brady M, Smith S. Improved optimization for the "
    "robust and accurate linear registration and motion correction of brain images. NeuroImage "
    "2002;17:825-841.",
    "patenaude2011": "Patenaude B, Smith SM, Kennedy DN, Jenkinson M. A Bayesian model of shape "
    "and appearance for subcortical brain segmentation. NeuroImage 2011;56:907-922.",
}
