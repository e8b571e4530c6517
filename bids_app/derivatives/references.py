"""The works that methods texts cite, by key."""

from __future__ import annotations

# By the first author's family name and the year. Whatever cites a work declares its key.
REFERENCES = {
    "avants2008": "Avants BB, Epstein CL, Grossman M, Gee JC. Symmetric diffeomorphic image "
    "registration with cross-correlation. Med Image Anal 2008;12:26-41. "
    "doi:10.1016/j.media.2007.06.004",
    "avants2011": "Avants BB, Tustison NJ, Song G, Cook PA, Klein A, Gee JC. A reproducible "
    "evaluation of ANTs similarity metric performance in brain image registration. NeuroImage "
    "2011;54:2033-2044. doi:10.1016/j.neuroimage.2010.09.025",
    "azevedo2018": "Azevedo CJ, Cen SY, Khadka S, et al. Thalamic atrophy in multiple sclerosis: a "
    "magnetic resonance imaging marker of neurodegeneration throughout disease. Ann Neurol "
    "2018;83:223-234. doi:10.1002/ana.25150",
    "baniasadi2023": "Baniasadi M, Petersen MV, Gonçalves J, et al. DBSegment: fast and robust "
    "segmentation of deep brain structures considering domain generalization. Hum Brain Mapp "
    "2023;44:762-778.",
    "barral2010": "Barral JK, Gudmundson E, Stikov N, Etezadi-Amoli M, Stoica P, Nishimura DG. A "
    "robust methodology for in vivo T1 mapping. Magn Reson Med 2010;64:1057-1067. "
    "doi:10.1002/mrm.22497",
    "bautista2021": "Bautista T, O'Muircheartaigh J, Hajnal JV, Tournier JD. Removal of Gibbs "
    "ringing artefacts for 3D acquisitions using subvoxel shifts. Proc ISMRM 2021;29:3535.",
    "beer2020": "Beer JC, Tustison NJ, Cook PA, et al. Longitudinal ComBat: a method for "
    "harmonizing longitudinal multi-scanner imaging data. NeuroImage 2020;220:117129.",
    "benjamini1995": "Benjamini Y, Hochberg Y. Controlling the false discovery rate: a practical "
    "and powerful approach to multiple testing. J R Stat Soc B 1995;57:289-300.",
    "billot2023": "Billot B, Greve DN, Puonti O, et al. SynthSeg: segmentation of brain MRI scans "
    "of any contrast and resolution without retraining. Med Image Anal 2023;86:102789. "
    "doi:10.1016/j.media.2023.102789",
    "bland1986": "Bland JM, Altman DG. Statistical methods for assessing agreement between two "
    "methods of clinical measurement. Lancet 1986;327:307-310.",
    "brant1990": "Brant R. Assessing proportionality in the proportional odds model for ordinal "
    "logistic regression. Biometrics 1990;46:1171-1178.",
    "buckner2004": "Buckner RL, Head D, Parker J, et al. A unified approach for morphometric and "
    "functional data analysis in young, old, and demented adults using automated atlas-based head "
    "size normalization. NeuroImage 2004;23:724-738.",
    "chang2008": "Chang LC, Koay CG, Basser PJ, Pierpaoli C. Linear least-squares method for "
    "unbiased estimation of T1 from SPGR signals. Magn Reson Med 2008;60:496-501. "
    "doi:10.1002/mrm.21669",
    "cohen1960": "Cohen J. A coefficient of agreement for nominal scales. Educ Psychol Meas "
    "1960;20:37-46.",
    "coll2024": "Coll L, Pareto D, Carbonell-Mirabent P, et al. Global and regional deep learning "
    "models for multiple sclerosis stratification from MRI. J Magn Reson Imaging 2024;60:258-267.",
    "coupe2010": "Coupe P, Manjon JV, Gedamu E, Arnold D, Robles M, Collins DL. Robust Rician "
    "noise estimation for MR images. Med Image Anal 2010;14:483-493. "
    "doi:10.1016/j.media.2010.03.001",
    "delong1988": "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more "
    "correlated receiver operating characteristic curves: a nonparametric approach. Biometrics "
    "1988;44:837-845.",
    "deoni2003": "Deoni SCL, Rutt BK, Peters TM. Rapid combined T1 and T2 mapping using gradient "
    "recalled acquisition in the steady state. Magn Reson Med 2003;49:515-526. "
    "doi:10.1002/mrm.10407",
    "efron1993": "Efron B, Tibshirani RJ. An introduction to the bootstrap. Chapman & Hall, 1993.",
    "fischl2002": "Fischl B, Salat DH, Busa E, et al. Whole brain segmentation: automated labeling "
    "of neuroanatomical structures in the human brain. Neuron 2002;33:341-355.",
    "fonov2011": "Fonov V, Evans AC, Botteron K, et al. Unbiased average age-appropriate atlases "
    "for pediatric studies. NeuroImage 2011;54:313-327. doi:10.1016/j.neuroimage.2010.07.033",
    "fortin2018": "Fortin JP, Cullen N, Sheline YI, et al. Harmonization of cortical thickness "
    "measurements across scanners and sites. NeuroImage 2018;167:104-120.",
    "fox2000": "Fox NC, Cousens S, Scahill R, Harvey RJ, Rossor MN. Using serial registered brain "
    "magnetic resonance imaging to measure disease progression in Alzheimer disease: power "
    "calculations and estimates of sample size to detect treatment effects. Arch Neurol "
    "2000;57:339-344.",
    "goebl2025": "Goebl P, Wingrove J, Abdelmannan O, et al. Enabling new insights from old scans "
    "by repurposing clinical MRI archives for multiple sclerosis research. Nat Commun 2025;16. "
    "doi:10.1038/s41467-025-58274-8",
    "hall2009": "Hall P, Miller H. Using the bootstrap to quantify the authority of an empirical "
    "ranking. Ann Stat 2009;37:3929-3959.",
    "heimann2009": "Heimann T, van Ginneken B, Styner MA, et al. Comparison and evaluation of "
    "methods for liver segmentation from CT datasets. IEEE Trans Med Imaging 2009;28:1251-1265.",
    "helms2008a": "Helms G, Dathe H, Dechent P. Quantitative FLASH MRI at 3T using a rational "
    "approximation of the Ernst equation. Magn Reson Med 2008;59:667-672. doi:10.1002/mrm.21542",
    "helms2008b": "Helms G, Dathe H, Kallenberg K, Dechent P. High-resolution maps of "
    "magnetization transfer with inherent correction for RF inhomogeneity and T1 relaxation "
    "obtained from 3D FLASH MRI. Magn Reson Med 2008;60:1396-1407. doi:10.1002/mrm.21732",
    "henschel2020": "Henschel L, Conjeti S, Estrada S, Diers K, Fischl B, Reuter M. FastSurfer: a "
    "fast and accurate deep learning based neuroimaging pipeline. NeuroImage 2020;219:117012.",
    "henschel2022": "Henschel L, Kügler D, Reuter M. FastSurferVINN: building "
    "resolution-independence into deep learning segmentation methods. NeuroImage 2022;251:118933.",
    "ibrahim2026": "Ibrahim OA, Trang H, Chen Q, et al. Microstructure-informed deep learning "
    "improves thalamic atrophy segmentation and clinical associations in multiple sclerosis and "
    "related neuroimmunological diseases. 2026.",
    "jenkinson2002": "Jenkinson M, Bannister P, Brady M, Smith S. Improved optimization for the "
    "robust and accurate linear registration and motion correction of brain images. NeuroImage "
    "2002;17:825-841.",
    "johnson2007": "Johnson WE, Li C, Rabinovic A. Adjusting batch effects in microarray "
    "expression data using empirical Bayes methods. Biostatistics 2007;8:118-127.",
    "kellner2016": "Kellner E, Dhital B, Kiselev VG, Reisert M. Gibbs-ringing artifact removal "
    "based on local subvoxel-shifts. Magn Reson Med 2016;76:1574-1581. doi:10.1002/mrm.26054",
    "ledell2015": "LeDell E, Petersen M, van der Laan M. Computationally efficient confidence "
    "intervals for cross-validated area under the ROC curve estimates. Electron J Stat "
    "2015;9:1583-1607.",
    "lewis2004": "Lewis EB, Fox NC. Correction of differential intensity inhomogeneity in "
    "longitudinal MR images. NeuroImage 2004;23:75-83. doi:10.1016/j.neuroimage.2004.04.030",
    "lin1989": "Lin LI. A concordance correlation coefficient to evaluate reproducibility. "
    "Biometrics 1989;45:255-268 (correction 2000;56:324-325).",
    "lucas1981": "Lucas BD, Kanade T. An iterative image registration technique with an "
    "application to stereo vision. Proceedings of the 7th International Joint Conference on "
    "Artificial Intelligence 1981:674-679.",
    "mackinnon1985": "MacKinnon JG, White H. Some heteroskedasticity-consistent covariance matrix "
    "estimators with improved finite sample properties. J Econom 1985;29:305-325.",
    "marques2010": "Marques JP, Kober T, Krueger G, van der Zwaag W, Van de Moortele PF, Gruetter "
    "R. MP2RAGE, a self bias-field corrected sequence for improved segmentation and T1-mapping at "
    "high field. NeuroImage 2010;49:1271-1281. doi:10.1016/j.neuroimage.2009.10.002",
    "mcgraw1996": "McGraw KO, Wong SP. Forming inferences about some intraclass correlation "
    "coefficients. Psychol Methods 1996;1:30-46.",
    "meng1992": "Meng XL, Rosenthal R, Rubin DB. Comparing correlated correlation coefficients. "
    "Psychol Bull 1992;111:172-175.",
    "nadeau2003": "Nadeau C, Bengio Y. Inference for the generalization error. Mach Learn "
    "2003;52:239-281.",
    "nakamura2014": "Nakamura K, Guizard N, Fonov VS, et al. Jacobian integration method increases "
    "the statistical power to measure gray matter atrophy in multiple sclerosis. NeuroImage Clin "
    "2014;4:10-17.",
    "opfer2022": "Opfer R, Krüger J, Spies L, et al. Automatic segmentation of the thalamus using "
    "a massively trained 3D convolutional neural network: higher sensitivity for the detection of "
    "reduced thalamus volume by improved inter-scanner stability. Eur Radiol 2022. "
    "doi:10.1007/s00330-022-09170-y",
    "patenaude2011": "Patenaude B, Smith SM, Kennedy DN, Jenkinson M. A Bayesian model of shape "
    "and appearance for subcortical brain segmentation. NeuroImage 2011;56:907-922.",
    "pitman1939": "Pitman EJG. A note on normal correlation. Biometrika 1939;31:9-12.",
    "preibisch2009": "Preibisch C, Deichmann R. Influence of RF spoiling on the stability and "
    "accuracy of T1 mapping based on spoiled FLASH with varying flip angles. Magn Reson Med "
    "2009;61:125-135. doi:10.1002/mrm.21776",
    "puonti2016": "Puonti O, Iglesias JE, Van Leemput K. Fast and sequence-adaptive whole-brain "
    "segmentation using parametric Bayesian modeling. NeuroImage 2016;143:235-249. "
    "doi:10.1016/j.neuroimage.2016.09.011",
    "reuter2011": "Reuter M, Fischl B. Avoiding asymmetry-induced bias in longitudinal image "
    "processing. NeuroImage 2011;57:19-21. doi:10.1016/j.neuroimage.2011.02.076",
    "reuter2012": "Reuter M, Schmansky NJ, Rosas HD, Fischl B. Within-subject template estimation "
    "for unbiased longitudinal image analysis. NeuroImage 2012;61:1402-1418. "
    "doi:10.1016/j.neuroimage.2012.02.084",
    "rosner1990": "Rosner B, Spiegelman D, Willett WC. Correction of logistic regression relative "
    "risk estimates and confidence intervals for measurement error. Am J Epidemiol "
    "1990;132:734-745.",
    "rushmore2022": "Rushmore RJ, Sunderland K, Carrington H, et al. Anatomically curated "
    "segmentation of human subcortical structures in high resolution magnetic resonance imaging: "
    "an open science approach. Front Neuroanat 2022;16:894606. doi:10.3389/fnana.2022.894606",
    "seabold2010": "Seabold S, Perktold J. statsmodels: econometric and statistical modeling with "
    "Python. Proceedings of the 9th Python in Science Conference, 2010.",
    "smith2002": "Smith SM, Zhang Y, Jenkinson M, et al. Accurate, robust, and automated "
    "longitudinal and cross-sectional brain change analysis. NeuroImage 2002;17:479-489.",
    "steiger1980": "Steiger JH. Tests for comparing elements of a correlation matrix. Psychol Bull "
    "1980;87:245-251.",
    "su2019": "Su JH, Thomas FT, Kasoff WS, et al. Thalamus Optimized Multi Atlas Segmentation "
    "(THOMAS): fast, fully automated segmentation of thalamic nuclei from structural MRI. "
    "NeuroImage 2019;194:272-282. doi:10.1016/j.neuroimage.2019.03.021",
    "vickers2011": "Vickers AJ, Cronin AM, Begg CB. One statistical test is sufficient for "
    "assessing new predictive markers. BMC Med Res Methodol 2011;11:13.",
    "vidal2024": "Vidal JP, Danet L, Péran P, et al. Robust thalamic nuclei segmentation from "
    "T1-weighted MRI using polynomial intensity transformation. Brain Struct Funct "
    "2024;229:1087-1101. doi:10.1007/s00429-024-02777-5",
    "warfield2004": "Warfield SK, Zou KH, Wells WM. Simultaneous truth and performance level "
    "estimation (STAPLE): an algorithm for the validation of image segmentation. IEEE Trans Med "
    "Imaging 2004;23:903-921. doi:10.1109/TMI.2004.828354",
    "weiskopf2011": "Weiskopf N, Lutti A, Helms G, Novak M, Ashburner J, Hutton C. Unified "
    "segmentation based correction of R1 brain maps for RF transmit field inhomogeneities "
    "(UNICORT). NeuroImage 2011;54:2116-2124. doi:10.1016/j.neuroimage.2010.10.023",
    "weiskopf2014": "Weiskopf N, Callaghan MF, Josephs O, Lutti A, Mohammadi S. Estimating the "
    "apparent transverse relaxation time (R2*) from images with different contrasts (ESTATICS) "
    "reduces motion artifacts. Front Neurosci 2014;8:278. doi:10.3389/fnins.2014.00278",
    "wilcoxon1945": "Wilcoxon F. Individual comparisons by ranking methods. Biometrics Bull "
    "1945;1:80-83.",
    "williams1959": "Williams EJ. The comparison of regression variables. J R Stat Soc B "
    "1959;21:396-399.",
    "zivadinov2022": "Zivadinov R, Bergsland N, Jakimovski D, et al. Thalamic atrophy measured by "
    "artificial intelligence in a multicentre clinical routine real-world study is associated with "
    "disability progression. J Neurol Neurosurg Psychiatry 2022;93:1128-1136.",
    "zou2007": "Zou GY. Toward using confidence intervals to compare correlations. Psychol Methods "
    "2007;12:399-413.",
}
