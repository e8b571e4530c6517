# Makes the inputs and expected results of tests/statistics with R, independently of the package.
# Run in this folder: Rscript make_reference.R
# Needs r-base-core and, of Debian's r-cran-*: car, emmeans, epir, jsonlite, lme4, lmtest,
# ordinal, proc, psych, sandwich.
suppressMessages({
  library(jsonlite)
  library(epiR)
  library(psych)
  library(car)
  library(sandwich)
  library(lmtest)
  library(ordinal)
  library(lme4)
  library(emmeans)
  library(pROC)
})

set.seed(20260101)
results <- list()
keep <- function(x) as.list(x)

# --- agreement: 40 subjects, one reference and three methods, some volumes missing -----------
n <- 40
truth <- round(rnorm(n, 9.1, 1.9), 3)
volumes <- data.frame(
  subject = sprintf("%02d", 1:n),
  reference = truth,
  large = round(5.6 + 0.95 * truth + rnorm(n, 0, 1.6), 3),
  compressed = round(6.4 + 0.38 * truth + rnorm(n, 0, 1.0), 3),
  close = round(truth + rnorm(n, 0.2, 0.4), 3)
)
volumes$close[c(3, 17)] <- NA
volumes$reference[29] <- NA
write.csv(volumes, "agreement.csv", row.names = FALSE, na = "")

agreement <- function(method) {
  pairs <- na.omit(data.frame(x = volumes$reference, y = volumes[[method]]))
  x <- pairs$x
  y <- pairs$y
  m <- length(x)
  lin <- epi.ccc(x, y, ci = "z-transform", conf.level = 0.95)$rho.c
  # psych rounds nothing; its ICC2 is ICC(A,1), its ICC3 is ICC(C,1).
  icc <- ICC(pairs, lmer = FALSE, alpha = 0.05)$results
  line <- lm(y ~ x)
  d <- y - x
  half_bias <- qt(0.975, m - 1) * sd(d) / sqrt(m)
  half_limit <- qt(0.975, m - 1) * sd(d) * sqrt(1 / m + 1.96^2 / (2 * (m - 1)))
  proportional <- lm(d ~ I((x + y) / 2))
  limits <- mean(d) + c(-1.96, 1.96) * sd(d)
  variance <- (m - 1) * var(d) / qchisq(c(0.975, 0.025), m - 1)
  keep(c(
    n = m,
    ccc = lin$est, ccc_ci_low = lin$lower, ccc_ci_high = lin$upper,
    icc_c1 = icc["Single_fixed_raters", "ICC"],
    icc_c1_ci_low = icc["Single_fixed_raters", "lower bound"],
    icc_c1_ci_high = icc["Single_fixed_raters", "upper bound"],
    icc_a1 = icc["Single_random_raters", "ICC"],
    icc_a1_ci_low = icc["Single_random_raters", "lower bound"],
    icc_a1_ci_high = icc["Single_random_raters", "upper bound"],
    slope = unname(coef(line)[2]),
    slope_ci_low = confint(line)[2, 1], slope_ci_high = confint(line)[2, 2],
    intercept = unname(coef(line)[1]),
    intercept_ci_low = confint(line)[1, 1], intercept_ci_high = confint(line)[1, 2],
    residual_sd = sigma(line),
    bias = mean(d), bias_ci_low = mean(d) - half_bias, bias_ci_high = mean(d) + half_bias,
    sd = sd(d), sd_ci_low = sqrt(variance[1]), sd_ci_high = sqrt(variance[2]),
    lower_limit = limits[1],
    lower_limit_ci_low = limits[1] - half_limit, lower_limit_ci_high = limits[1] + half_limit,
    upper_limit = limits[2],
    upper_limit_ci_low = limits[2] - half_limit, upper_limit_ci_high = limits[2] + half_limit,
    proportional_slope = unname(coef(proportional)[2]),
    proportional_slope_ci_low = confint(proportional)[2, 1],
    proportional_slope_ci_high = confint(proportional)[2, 2]
  ))
}
results$agreement <- sapply(c("large", "compressed", "close"), agreement, simplify = FALSE)

# --- overlap: two label images as voxel lists, distances by brute force -----------------------
shape <- c(14, 12, 10)
spacing <- c(0.8, 1.0, 1.6)
grid <- as.matrix(expand.grid(i = 1:shape[1], j = 1:shape[2], k = 1:shape[3]))
ellipsoid <- function(centre, radii) colSums(((t(grid) - centre) / radii)^2) <= 1
labels <- data.frame(
  grid - 1,
  reference = ifelse(ellipsoid(c(4, 6, 5), c(3.2, 4.1, 3.3)), 1,
              ifelse(ellipsoid(c(11, 6, 6), c(3.1, 4.4, 2.9)), 2, 0)),
  method = ifelse(ellipsoid(c(4, 7, 5), c(3.6, 3.8, 4.4)), 1,
           ifelse(ellipsoid(c(12, 5, 6), c(2.6, 5.2, 3.1)), 2, 0))
)
write.csv(labels[labels$reference > 0 | labels$method > 0, ], "labels.csv", row.names = FALSE)

boundary <- function(mask) {
  cube <- array(FALSE, shape + 2)
  cube[2:(shape[1] + 1), 2:(shape[2] + 1), 2:(shape[3] + 1)] <- mask
  inside <- grid + 1
  surrounded <- rep(TRUE, nrow(grid))
  for (axis in 1:3) for (step in c(-1, 1)) {
    neighbour <- inside
    neighbour[, axis] <- neighbour[, axis] + step
    surrounded <- surrounded & cube[neighbour]
  }
  t(t(grid[mask & !surrounded, ]) * spacing)
}
nearest <- function(from, to) apply(from, 1, function(p) sqrt(min(colSums((t(to) - p)^2))))
overlap <- function(a, b) {
  forward <- nearest(boundary(a), boundary(b))
  backward <- nearest(boundary(b), boundary(a))
  keep(c(
    dice = 2 * sum(a & b) / (sum(a) + sum(b)),
    precision = sum(a & b) / sum(b),
    sensitivity = sum(a & b) / sum(a),
    hd = max(forward, backward),
    hd95 = max(quantile(forward, 0.95), quantile(backward, 0.95)),
    assd = mean(c(forward, backward))
  ))
}
results$overlap <- list(
  left = overlap(labels$reference == 1, labels$method == 1),
  right = overlap(labels$reference == 2, labels$method == 2),
  bilateral = overlap(labels$reference > 0, labels$method > 0)
)

# --- comparison: paired scores with ties and zeros, p-values, variances, correlations ---------
scores <- data.frame(
  subject = sprintf("%02d", 1:60),
  a = round(rbeta(60, 20, 5), 7),
  b = round(rbeta(60, 22, 5), 7)
)
scores$c <- round(scores$a + rnorm(60, 0.01, 0.03), 2)
scores$d <- scores$c
scores$d[11:60] <- round(scores$d[11:60] + sample(c(-0.02, -0.01, 0, 0.01, 0.03), 50, TRUE), 2)
write.csv(scores, "scores.csv", row.names = FALSE)

signed_rank <- function(x, y, exact, correct = FALSE) {
  # Rounding as in the convention; wilcox.test drops zeros.
  difference <- round(x - y, 10)
  test <- suppressWarnings(wilcox.test(difference, exact = exact, correct = correct))
  m <- sum(difference != 0)
  keep(c(
    n = length(difference), n_nonzero = m,
    w = min(test$statistic, m * (m + 1) / 2 - test$statistic), p = test$p.value
  ))
}
first <- 1:50
results$signed_rank <- list(
  exact = signed_rank(scores$a[first], scores$b[first], TRUE),
  normal = signed_rank(scores$a, scores$b, FALSE),
  corrected = signed_rank(scores$a, scores$b, FALSE, TRUE),
  ties_and_zeros = signed_rank(scores$d, scores$c, FALSE)
)

p_values <- c(0.0004, 0.0019, 0.0095, 0.02, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262,
              0.5719, 0.6528, 0.759, 1, NA, 0.0201)
results$adjust <- list(
  p = p_values,
  fdr_bh = p.adjust(p_values, "BH"),
  bonferroni = p.adjust(p_values, "bonferroni")
)

levene <- function(x, y, centre) {
  d <- data.frame(value = c(x, y), group = factor(rep(1:2, c(length(x), length(y)))))
  test <- leveneTest(value ~ group, data = d, center = centre)
  keep(c(f = test[1, "F value"], p = test[1, "Pr(>F)"]))
}
results$levene <- list(
  median = levene(scores$a, scores$d[1:45], median),
  mean = levene(scores$a, scores$d[1:45], mean)
)

summary_of <- function(x) keep(c(
  n = length(x), mean = mean(x), sd = sd(x), median = median(x),
  q1 = unname(quantile(x, 0.25, type = 7)), q3 = unname(quantile(x, 0.75, type = 7)),
  iqr = IQR(x, type = 7), minimum = min(x), maximum = max(x)
))
results$summary <- list(a = summary_of(scores$a), d = summary_of(scores$d))

pbvc <- data.frame(pbvc = rnorm(50, -0.3, 0.5))
pbvc$one <- round(0.9 * pbvc$pbvc + rnorm(50, 0, 0.6), 3)
pbvc$two <- round(0.5 * pbvc$one + 0.2 * pbvc$pbvc + rnorm(50, 0, 0.7), 3)
pbvc$three <- round(rnorm(50, 0, 1), 3)
pbvc$pbvc <- round(pbvc$pbvc, 3)
write.csv(pbvc, "pbvc.csv", row.names = FALSE)
results$pearson <- sapply(c("one", "two", "three"), function(m) {
  test <- cor.test(pbvc$pbvc, pbvc[[m]])
  keep(c(r = unname(test$estimate), r_ci_low = test$conf.int[1], r_ci_high = test$conf.int[2],
         p = test$p.value))
}, simplify = FALSE)

steiger <- function(r12, r13, r23, n) {
  # Equations 3 and 14, term by term as printed.
  m <- (r12 + r13) / 2
  psi <- r23 * (1 - m^2 - m^2) - 0.5 * m * m * (1 - m^2 - m^2 - r23^2)
  s <- psi / (1 - m^2)^2
  z <- sqrt(n - 3) * (atanh(r12) - atanh(r13)) / sqrt(2 - 2 * s)
  c(steiger_z = z, steiger_p = 2 * pnorm(-abs(z)))
}
dependent <- function(a, b) {
  r <- cor(pbvc[, c("pbvc", a, b)])
  williams <- paired.r(r[1, 2], r[1, 3], r[2, 3], nrow(pbvc), twotailed = TRUE)
  # paired.r returns the absolute value of t.
  keep(c(
    williams_t = sign(r[1, 2] - r[1, 3]) * abs(unname(williams$t)),
    williams_p = unname(williams$p),
    steiger(r[1, 2], r[1, 3], r[2, 3], nrow(pbvc))
  ))
}
results$dependent <- list(
  one_two = dependent("one", "two"), one_three = dependent("one", "three"),
  two_three = dependent("two", "three")
)

# --- regression: a cohort with skew, heteroscedasticity, ties and missing values --------------
n <- 150
cohort <- data.frame(
  subject = sprintf("%03d", 1:n),
  volume = round(rnorm(n, 13.5, 1.6), 3),
  age = round(runif(n, 20, 65), 1),
  sex = sample(c("F", "M"), n, TRUE, c(0.66, 0.34)),
  icv = round(rnorm(n, 1500, 130), 1)
)
cohort$edss <- pmax(0, round((5.5 - 0.28 * cohort$volume + 0.02 * cohort$age +
  rnorm(n, 0, 0.4 + 0.02 * cohort$age)) * 2) / 2)
cohort$t25fw <- round(exp(1.9 - 0.03 * cohort$volume + 0.004 * cohort$age + rnorm(n, 0, 0.2)), 2)
cohort$sdmt <- round(20 + 2.4 * cohort$volume - 0.2 * cohort$age + rnorm(n, 0, 9))
cohort$sdmt[c(5, 50, 51)] <- NA
cohort$icv[77] <- NA
cohort$interval <- round(rnorm(n, 0.96, 0.17), 2)
cohort$steroids <- rbinom(n, 1, 0.2)
cohort$delta_volume <- round(rnorm(n, -0.05, 0.25), 4)
cohort$delta_edss <- round((0.4 * cohort$delta_volume + 0.2 * cohort$steroids +
  rnorm(n, 0.05, 0.5)) * 2) / 2
write.csv(cohort, "cohort.csv", row.names = FALSE, na = "")

linear <- function(outcome, robust, log_outcome = FALSE) {
  used <- na.omit(cohort[, c(outcome, "volume", "age", "sex", "icv")])
  used$y <- if (log_outcome) log(used[[outcome]]) else used[[outcome]]
  used$z <- as.numeric(scale(used$icv))
  fit <- lm(y ~ volume + age + z + sex, data = used)
  vcov_used <- if (robust) vcovHC(fit, type = "HC3") else vcov(fit)
  test <- coeftest(fit, vcov. = vcov_used, df = df.residual(fit))
  ci <- coefci(fit, vcov. = vcov_used, df = df.residual(fit))
  without <- lm(y ~ age + z + sex, data = used)
  rss <- function(m) sum(residuals(m)^2)
  keep(c(
    n = nrow(used), df = df.residual(fit),
    beta = test["volume", 1], se = test["volume", 2], t = test["volume", 3], p = test["volume", 4],
    ci_low = ci["volume", 1], ci_high = ci["volume", 2],
    r2 = summary(fit)$r.squared, r2_adjusted = summary(fit)$adj.r.squared,
    partial_r2 = (rss(without) - rss(fit)) / rss(without),
    residual_sd = sigma(fit),
    breusch_pagan_p = unname(bptest(fit)$p.value),
    shapiro_wilk_p = shapiro.test(residuals(fit))$p.value,
    variance_inflation = max(vif(fit)),
    cooks_distance = max(cooks.distance(fit))
  ))
}
results$linear <- list(
  edss_HC3 = linear("edss", TRUE), edss_classical = linear("edss", FALSE),
  t25fw_classical = linear("t25fw", FALSE, TRUE), sdmt_classical = linear("sdmt", FALSE),
  sdmt_HC3 = linear("sdmt", TRUE)
)
results$winsorise <- list(
  "0.01" = pmin(pmax(cohort$delta_volume, quantile(cohort$delta_volume, 0.01)),
                quantile(cohort$delta_volume, 0.99)),
  "0.05" = pmin(pmax(cohort$delta_volume, quantile(cohort$delta_volume, 0.05)),
                quantile(cohort$delta_volume, 0.95))
)

ordered_cohort <- cohort[!is.na(cohort$icv), ]
ordered_cohort$category <- factor(sign(ordered_cohort$delta_edss), ordered = TRUE)
ordered_cohort$z <- as.numeric(scale(ordered_cohort$icv))
logit <- clm(category ~ delta_volume + age + z + interval + steroids + sex,
             data = ordered_cohort, gradTol = 1e-10)
estimate <- coef(summary(logit))["delta_volume", ]
half <- qnorm(0.975) * estimate["Std. Error"]
results$ordinal <- keep(c(
  n = nrow(ordered_cohort), n_better = sum(ordered_cohort$category == -1),
  n_stable = sum(ordered_cohort$category == 0), n_worse = sum(ordered_cohort$category == 1),
  beta = unname(estimate["Estimate"]), se = unname(estimate["Std. Error"]),
  z = unname(estimate["z value"]), p = unname(estimate["Pr(>|z|)"]),
  ci_low = unname(estimate["Estimate"] - half), ci_high = unname(estimate["Estimate"] + half),
  threshold_better_stable = unname(logit$alpha[1]), threshold_stable_worse = unname(logit$alpha[2]),
  log_likelihood = as.numeric(logLik(logit))
))

visits <- data.frame(
  subject = rep(sprintf("%02d", 1:60), times = sample(3:5, 60, TRUE))
)
visits$session <- ave(seq_along(visits$subject), visits$subject, FUN = seq_along)
m <- nrow(visits)
index <- as.integer(visits$subject)
person <- data.frame(age = round(runif(60, 20, 65), 1), sex = sample(c("F", "M"), 60, TRUE),
                     level = rnorm(60, 0, 4), size = rnorm(60, 13.5, 1.5),
                     icv = round(rnorm(60, 1500, 130), 1))
visits$years <- round(visits$session - 1 + runif(m, -0.1, 0.1), 2)
visits$age <- person$age[index]
visits$sex <- person$sex[index]
visits$icv <- person$icv[index]
visits$volume <- round(person$size[index] - 0.1 * visits$years + rnorm(m, 0, 0.15), 3)
visits$sdmt <- round(15 + 2.5 * visits$volume - 0.1 * visits$age - 0.3 * visits$years +
  person$level[index] + rnorm(m, 0, 3))
visits$sdmt[c(9, 40)] <- NA
write.csv(visits, "visits.csv", row.names = FALSE, na = "")
used <- na.omit(visits)
used$z <- as.numeric(scale(used$icv))
model <- sdmt ~ volume + years + age + z + sex + (1 | subject)
# lmer stops early; the one variance parameter is found again to full precision.
criterion <- lmer(model, data = used, REML = TRUE, devFunOnly = TRUE)
theta <- optimize(criterion, c(0.01, 10), tol = 1e-12)$minimum
invisible(criterion(theta))
parsed <- lFormula(model, data = used, REML = TRUE)
mixed <- mkMerMod(environment(criterion), list(par = theta, fval = criterion(theta), conv = 0),
                  parsed$reTrms, fr = parsed$fr)
deviations <- as.data.frame(VarCorr(mixed))$sdcor
results$mixed <- keep(c(
  n = nrow(used), subjects = length(unique(used$subject)),
  beta = unname(fixef(mixed)["volume"]), se = sqrt(vcov(mixed)["volume", "volume"]),
  subject_sd = deviations[1], residual_sd = deviations[2],
  log_likelihood = as.numeric(logLik(mixed))
))

# --- measurement error from repeat scans, regression calibration, sample size -----------------
repeats <- data.frame(subject = rep(1:25, times = c(rep(2, 15), rep(3, 8), 1, 1)))
repeats$volume <- round(rnorm(25, 13.5, 1.5)[repeats$subject] + rnorm(nrow(repeats), 0, 0.8), 3)
write.csv(repeats, "repeats.csv", row.names = FALSE)
twice <- repeats[ave(repeats$volume, repeats$subject, FUN = length) > 1, ]
anova_table <- summary(aov(volume ~ factor(subject), data = twice))[[1]]
within <- anova_table["Residuals", "Mean Sq"]
within_df <- anova_table["Residuals", "Df"]
results$measurement_error <- keep(c(
  subjects = length(unique(twice$subject)), scans = nrow(twice), df = within_df,
  within_sd = sqrt(within),
  within_sd_ci_low = sqrt(within * within_df / qchisq(0.975, within_df)),
  within_sd_ci_high = sqrt(within * within_df / qchisq(0.025, within_df)),
  repeatability = 1.96 * sqrt(2 * within),
  coefficient_of_variation = 100 * sqrt(within) / mean(tapply(twice$volume, twice$subject, mean))
))

used <- na.omit(cohort[, c("sdmt", "volume", "age", "sex")])
naive <- lm(sdmt ~ volume + age + sex, data = used)
given <- lm(volume ~ age + sex, data = used)
lambda <- 1 - within / sigma(given)^2
beta <- coef(naive)[["volume"]]
beta_se <- sqrt(vcov(naive)["volume", "volume"])
lambda_variance <- (1 - lambda)^2 * (2 / within_df + 2 / df.residual(given))
corrected_se <- sqrt(beta_se^2 / lambda^2 + beta^2 * lambda_variance / lambda^4)
corrected_half <- qt(0.975, df.residual(naive)) * corrected_se
results$calibrated <- keep(c(
  n = nrow(used), beta = beta, se = beta_se, reliability = lambda,
  beta_corrected = beta / lambda, se_corrected = corrected_se,
  beta_corrected_ci_low = beta / lambda - corrected_half,
  beta_corrected_ci_high = beta / lambda + corrected_half
))

rates <- round(rnorm(120, -0.6, 1.5), 3)
write.csv(data.frame(method = "one", annual_percent = rates), "rates.csv", row.names = FALSE)
effect <- 0.3 * mean(rates) / sd(rates)
results$sample_size <- keep(c(
  normal = 2 * (qnorm(0.975) + qnorm(0.8))^2 / effect^2,
  student = power.t.test(delta = 0.3 * abs(mean(rates)), sd = sd(rates), power = 0.8)$n
))

# --- normative model, travelling subject ------------------------------------------------------
database <- data.frame(tiv = round(rnorm(300, 1500, 140), 1), age = round(runif(300, 18, 85), 1))
database$volume <- round(4 + 0.0075 * database$tiv - 0.0006 * database$age^2 + rnorm(300, 0, 0.9), 3)
database$volume[c(10, 200)] <- c(22, 4)
write.csv(database, "database.csv", row.names = FALSE)
quadratic <- volume ~ I(tiv^2) + I(age^2) + I(tiv * age) + tiv + age
all_subjects <- lm(quadratic, data = database)
r <- residuals(all_subjects)
q <- unname(quantile(r, c(0.25, 0.75)))
inside <- r >= q[1] - 1.5 * (q[2] - q[1]) & r <= q[2] + 1.5 * (q[2] - q[1])
normal <- lm(quadratic, data = database[inside, ])
patients <- data.frame(volume = c(9.5, 12, 13.5, 8.8), tiv = c(1450, 1510, 1700, 1250),
                       age = c(45, 30, 62, 50))
results$normative <- list(
  n = sum(inside), outliers = sum(!inside), residual_sd = sd(residuals(normal)),
  coefficients = unname(coef(normal)[c(2:6, 1)]),
  patients = patients,
  expected = unname(predict(normal, patients)),
  reduced = unname(patients$volume - predict(normal, patients) + 1.96 * 0.28 <
                     -1.96 * sd(residuals(normal)))
)

# --- analysis of covariance and of repeated measures ------------------------------------------
registry <- data.frame(
  group = sample(c("improved", "stable", "worse"), 120, TRUE, c(0.2, 0.5, 0.3)),
  age = round(runif(120, 20, 60), 1), years = round(runif(120, 1, 4), 2)
)
registry$percent <- round(-0.3 * registry$years - 0.6 * (registry$group == "worse") -
  0.01 * registry$age + rnorm(120, 0, 1), 3)
registry$percent[7] <- NA
write.csv(registry, "registry.csv", row.names = FALSE, na = "")
used <- na.omit(registry)
used$group <- factor(used$group)
ancova <- lm(percent ~ age + years + group, data = used)
type_two <- Anova(ancova, type = 2)
adjusted <- emmeans(ancova, "group")
means <- as.data.frame(adjusted)
pairs_table <- as.data.frame(pairs(adjusted, adjust = "bonferroni"))
pairs_ci <- as.data.frame(confint(pairs(adjusted), adjust = "none"))
results$ancova <- list(
  n = nrow(used), f = type_two["group", "F value"], p = type_two["group", "Pr(>F)"],
  mean = means$emmean, se = means$SE, ci_low = means$lower.CL, ci_high = means$upper.CL,
  difference = pairs_table$estimate, difference_se = pairs_table$SE, t = pairs_table$t.ratio,
  p_adj = pairs_table$p.value, difference_ci_low = pairs_ci$lower.CL,
  difference_ci_high = pairs_ci$upper.CL
)

wide <- as.matrix(scores[1:18, c("a", "b", "c")])
wide[, "c"] <- wide[, "c"] + 0.02
write.csv(wide, "repeated.csv", row.names = FALSE)
within <- Anova(lm(wide ~ 1), idata = data.frame(method = factor(colnames(wide))),
                idesign = ~method, type = 3)
univariate <- summary(within, multivariate = FALSE)
results$repeated_measures <- keep(c(
  f = univariate$univariate.tests["method", "F value"],
  p = univariate$univariate.tests["method", "Pr(>F)"],
  epsilon = unname(univariate$pval.adjustments["method", "GG eps"]),
  p_greenhouse_geisser = unname(univariate$pval.adjustments["method", "Pr(>F[GG])"]),
  mauchly_w = unname(univariate$sphericity.tests["method", "Test statistic"]),
  mauchly_p = unname(univariate$sphericity.tests["method", "p-value"])
))

# --- classification of disability -------------------------------------------------------------
classes <- data.frame(disabled = rbinom(80, 1, 0.35))
classes$probability <- round(plogis(1.2 * classes$disabled - 0.6 + rnorm(80, 0, 1)), 2)
write.csv(classes, "classes.csv", row.names = FALSE)
called <- classes$probability >= 0.5
sensitivity <- mean(called[classes$disabled == 1])
specificity <- mean(!called[classes$disabled == 0])
results$stratification <- keep(c(
  sensitivity = sensitivity, specificity = specificity,
  balanced_accuracy = (sensitivity + specificity) / 2,
  auc = as.numeric(auc(classes$disabled, classes$probability, direction = "<", quiet = TRUE))
))

packages <- c("epiR", "psych", "car", "sandwich", "lmtest", "ordinal", "lme4", "emmeans",
              "pROC", "jsonlite")
results$provenance <- list(
  R = R.version.string,
  packages = sapply(packages, function(p) as.character(packageVersion(p)), simplify = FALSE),
  script = "make_reference.R",
  data = "simulated by the script, seed 20260101; worked examples are cited in the tests"
)
write_json(results, "results.json", auto_unbox = TRUE, digits = NA, pretty = TRUE, na = "null")
