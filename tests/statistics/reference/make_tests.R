# Makes the expected results of tests/statistics/reference/tests.json with R from the inputs of
# make_reference.R, independently of the package. Run in this folder: Rscript make_tests.R
# Needs r-base-core and, of Debian's r-cran-*: afex, car, effectsize, jsonlite, lmertest, ordinal, proc.
suppressMessages({
  library(jsonlite)
  library(lmerTest)
})
results <- list()
keep <- function(x) as.list(x)

# --- mixed model: means of subjects and deviations from them, Satterthwaite --------------------
visits <- na.omit(read.csv("visits.csv"))
split_fit <- function(used) {
  used$z <- as.numeric(scale(used$icv))
  used$between <- ave(used$volume, used$subject)
  used$within <- used$volume - used$between
  model <- sdmt ~ within + between + years + age + z + sex + (1 | subject)
  control <- lmerControl(optCtrl = list(xtol_abs = 1e-14, ftol_abs = 1e-14))
  fit <- lmer(model, data = used, REML = TRUE, control = control)
  table <- coef(summary(fit))
  part <- function(name) keep(c(
    beta = table[name, "Estimate"], se = table[name, "Std. Error"], df = table[name, "df"],
    t = table[name, "t value"], p = table[name, "Pr(>|t|)"]
  ))
  list(n = nrow(used), within = part("within"), between = part("between"),
       log_likelihood = as.numeric(logLik(fit)))
}
results$mixed <- list(
  all = split_fit(visits),
  # Twelve subjects, and at most two sessions of each.
  few = split_fit(visits[visits$subject <= 12 & visits$session <= 2, ])
)

# --- proportional odds: thresholds with standard errors, Brant's test of 1990 ------------------
cohort <- read.csv("cohort.csv")
cohort <- cohort[!is.na(cohort$icv), ]
cohort$category <- factor(sign(cohort$delta_edss), ordered = TRUE)
cohort$z <- as.numeric(scale(cohort$icv))
formula <- category ~ delta_volume + age + z + interval + steroids + sex
logit <- ordinal::clm(formula, data = cohort, gradTol = 1e-10)
table <- coef(summary(logit))
odds <- exp(cbind(coef(logit), confint(logit, type = "Wald")))
# Binary models at both cut points; covariance of their coefficients by Brant's equations.
x <- model.matrix(formula, cohort)
fits <- lapply(c(-1, 0), function(cut) {
  glm.fit(x, as.numeric(sign(cohort$delta_edss) > cut), family = binomial(),
          control = glm.control(epsilon = 1e-14))
})
p1 <- fits[[1]]$fitted.values
p2 <- fits[[2]]$fitted.values
i1 <- solve(t(x) %*% (p1 * (1 - p1) * x))
i2 <- solve(t(x) %*% (p2 * (1 - p2) * x))
i12 <- i1 %*% (t(x) %*% ((p2 - p1 * p2) * x)) %*% i2
d <- (fits[[2]]$coefficients - fits[[1]]$coefficients)[-1]
v <- (i1 + i2 - i12 - t(i12))[-1, -1]
chi2 <- drop(d %*% solve(v, d))
results$ordinal <- list(
  threshold_se = unname(table[1:2, "Std. Error"]),
  terms = rownames(table)[-(1:2)], odds_ratio = unname(odds[-(1:2), 1]),
  odds_ratio_ci_low = unname(odds[-(1:2), 2]), odds_ratio_ci_high = unname(odds[-(1:2), 3]),
  brant = keep(c(chi2 = chi2, df = length(d), p = pchisq(chi2, length(d), lower.tail = FALSE))),
  brant_terms = unname(d^2 / diag(v))
)

# --- dependent correlations, paired samples, ROC curves, repeated measures ---------------------
pbvc <- read.csv("pbvc.csv")
meng_and_zou <- function(a, b) {
  r <- cor(pbvc[, c("pbvc", a, b)])
  r1 <- r[1, 2]
  r2 <- r[1, 3]
  r12 <- r[2, 3]
  n <- nrow(pbvc)
  square <- (r1^2 + r2^2) / 2
  f <- min(1, (1 - r12) / (2 * (1 - square)))
  h <- 1 + square / (1 - square) * (1 - f)
  z <- (atanh(r1) - atanh(r2)) * sqrt((n - 3) / (2 * (1 - r12) * h))
  limits <- function(r) cor.test(pbvc$pbvc, pbvc[[r]])$conf.int
  l <- limits(a)
  k <- limits(b)
  c12 <- ((r12 - 0.5 * r1 * r2) * (1 - r1^2 - r2^2 - r12^2) + r12^3) / ((1 - r1^2) * (1 - r2^2))
  low <- r1 - r2 - sqrt((r1 - l[1])^2 + (k[2] - r2)^2 - 2 * c12 * (r1 - l[1]) * (k[2] - r2))
  high <- r1 - r2 + sqrt((l[2] - r1)^2 + (r2 - k[1])^2 - 2 * c12 * (l[2] - r1) * (r2 - k[1]))
  keep(c(meng_z = z, meng_p = 2 * pnorm(-abs(z)), r_difference = r1 - r2,
         r_difference_ci_low = low, r_difference_ci_high = high))
}
results$dependent <- list(
  one_two = meng_and_zou("one", "two"), one_three = meng_and_zou("one", "three"),
  two_three = meng_and_zou("two", "three")
)

scores <- read.csv("scores.csv")
paired <- function(x, y) {
  test <- t.test(x, y, paired = TRUE)
  keep(c(
    n = length(x), mean_difference = unname(test$estimate),
    mean_difference_ci_low = test$conf.int[1], mean_difference_ci_high = test$conf.int[2],
    t = unname(test$statistic), df = unname(test$parameter), p = test$p.value,
    d_z = effectsize::cohens_d(x - y)$Cohens_d,
    d_av = mean(x - y) / sqrt((var(x) + var(y)) / 2)
  ))
}
results$paired_t <- list(
  a_b = paired(scores$a, scores$b), c_d = paired(scores$c, scores$d)
)
rank_biserial <- function(...) suppressWarnings(effectsize::rank_biserial(...)$r_rank_biserial)
results$rank_biserial <- list(
  a_b = rank_biserial(scores$a, scores$b, paired = TRUE),
  independent = rank_biserial(scores$a[1:20], scores$d[21:45])
)
independent <- suppressWarnings(wilcox.test(scores$a[1:20], scores$d[21:45], exact = FALSE))
small <- wilcox.test(scores$a[1:7], scores$b[8:20], exact = TRUE)
results$rank_sum <- list(
  u = unname(independent$statistic), p = independent$p.value,
  u_exact = unname(small$statistic), p_exact = small$p.value
)

groups <- data.frame(value = c(scores$a[1:20], scores$b[1:25], scores$d[1:30]),
                     group = factor(rep(1:3, c(20, 25, 30))))
levene <- function(centre) {
  test <- car::leveneTest(value ~ group, data = groups, center = centre)
  c(test[1, "F value"], test[1, "Pr(>F)"])
}
results$levene <- keep(c(
  f_median = levene(median)[1], p_median = levene(median)[2],
  f_mean = levene(mean)[1], p_mean = levene(mean)[2]
))

roc_data <- read.csv("cohort.csv")
roc_data <- roc_data[!is.na(roc_data$icv), ]
truth <- roc_data$edss >= 3
first <- suppressMessages(pROC::roc(truth, -roc_data$volume, direction = "<"))
second <- suppressMessages(pROC::roc(truth, roc_data$age, direction = "<"))
between <- pROC::roc.test(first, second, method = "delong", paired = TRUE)
interval <- pROC::ci.auc(first, method = "delong")
results$roc <- keep(c(
  positives = sum(truth), auc = as.numeric(pROC::auc(first)), low = interval[1],
  high = interval[3], se = sqrt(pROC::var(first, method = "delong")),
  second = as.numeric(pROC::auc(second)), z = unname(between$statistic), p = between$p.value
))

wide <- as.matrix(read.csv("repeated.csv"))
long <- data.frame(subject = factor(rep(seq_len(nrow(wide)), ncol(wide))),
                   method = rep(colnames(wide), each = nrow(wide)), dice = as.vector(wide))
fit <- suppressMessages(afex::aov_ez("subject", "dice", long, within = "method"))
corrected <- summary(fit)$pval.adjustments
partial <- anova(fit, es = "pes", correction = "none")
generalised <- anova(fit, es = "ges", correction = "none")  # codespell:ignore ges
results$repeated_measures <- keep(c(
  epsilon = unname(corrected[1, "GG eps"]),
  p_greenhouse_geisser = unname(corrected[1, "Pr(>F[GG])"]),
  epsilon_huynh_feldt = min(1, unname(corrected[1, "HF eps"])),
  p_huynh_feldt = unname(corrected[1, "Pr(>F[HF])"]),
  partial_eta_squared = partial$pes, generalised_eta_squared = generalised[[5]]
))

volumes <- read.csv("agreement.csv")
slopes <- function(method) {
  pairs <- na.omit(data.frame(x = volumes$reference, y = volumes[[method]]))
  line <- summary(lm(y ~ x, pairs))
  trend <- summary(lm(I(y - x) ~ I((x + y) / 2), pairs))
  keep(c(
    slope_se = line$coefficients[2, 2], slope_p = line$coefficients[2, 4],
    slope_r2 = line$r.squared, proportional_slope_se = trend$coefficients[2, 2],
    proportional_slope_p = trend$coefficients[2, 4], proportional_slope_r2 = trend$r.squared
  ))
}
results$slopes <- sapply(c("large", "compressed", "close"), slopes, simplify = FALSE)

write_json(results, "tests.json", digits = 12, auto_unbox = TRUE, pretty = TRUE)
