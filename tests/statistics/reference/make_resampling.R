# Makes the expected results of tests/statistics that rest on resampling, on folds or on visits,
# with R, independently of the package: which cases are drawn is part of the input, so that what
# is computed from them can agree to the last digits.
# Run in this folder after make_reference.R: Rscript make_resampling.R
# Needs r-base-core and r-cran-jsonlite.
library(jsonlite)

set.seed(20261121)
results <- list()
n <- 60
resamples <- 200
drawn <- matrix(sample(n, resamples * n, replace = TRUE), resamples)
# Counted from 0, as Python does; one row per resample.
write.table(drawn - 1, "drawn.csv", sep = ",", row.names = FALSE, col.names = FALSE)
ends <- function(x) unname(quantile(x, c(0.025, 0.975), type = 7))

# --- bootstrap of a median and of a mean ------------------------------------------------------
scores <- read.csv("scores.csv")
percentile <- function(x, statistic) {
  # The places of the ordered sample are drawn.
  x <- sort(x)
  c(statistic(x), ends(apply(drawn, 1, function(i) statistic(x[i]))))
}
bca <- function(x, statistic) {
  # Efron & Tibshirani 1993, equations 14.10, 14.14 and 14.15; ties count half in z0.
  t0 <- statistic(x)
  t <- apply(drawn, 1, function(i) statistic(x[i]))
  z0 <- qnorm((mean(t < t0) + mean(t <= t0)) / 2)
  jack <- sapply(seq_along(x), function(i) statistic(x[-i]))
  d <- mean(jack) - jack
  a <- sum(d^3) / (6 * sum(d^2)^1.5)
  z <- qnorm(c(0.025, 0.975))
  levels <- pnorm(z0 + (z0 + z) / (1 - a * (z0 + z)))
  c(t0, unname(quantile(t, levels, type = 7)))
}
results$bootstrap <- list(
  median_percentile = percentile(scores$a, median), mean_percentile = percentile(scores$a, mean),
  mean_BCa = bca(scores$a, mean)
)

# --- ranking ----------------------------------------------------------------------------------
ranking <- function(data, statistic) {
  values <- statistic(data)
  rank_of <- function(s) rank(-round(s, 10), ties.method = "average")
  ranks <- t(apply(drawn, 1, function(i) rank_of(statistic(data[i, ]))))
  observed <- rank_of(values)
  list(
    score = unname(values), rank = unname(observed),
    rank_ci_low = unname(apply(ranks, 2, function(r) ends(r)[1])),
    rank_ci_high = unname(apply(ranks, 2, function(r) ends(r)[2])),
    first = unname(colMeans(ranks == apply(ranks, 1, min))),
    same = unname(colMeans(t(t(ranks) == observed)))
  )
}
concordance <- function(data) sapply(data[-1], function(y) {
  x <- data[[1]]
  m <- length(x)
  2 * cov(x, y) * (m - 1) / m / ((var(x) + var(y)) * (m - 1) / m + (mean(x) - mean(y))^2)
})
columns <- c("a", "b", "c", "d")
results$ranking <- list(
  mean = ranking(scores[columns], colMeans), concordance = ranking(scores[columns], concordance)
)

# --- sample size ------------------------------------------------------------------------------
rates <- read.csv("rates.csv")$annual_percent[1:n]
effect <- function(x) mean(x) / sd(x)
size <- function(e) 2 * (qnorm(0.975) + qnorm(0.8))^2 / (0.3 * pmax(-e, 0))^2
# Strong atrophy needs few subjects, so the ends change places.
results$sample_size <- ceiling(c(
  size(effect(rates)), size(ends(apply(drawn, 1, function(i) effect(rates[i]))))
))

# --- quality of a classification --------------------------------------------------------------
classes <- read.csv("classes.csv")[1:n, ]
quality <- function(data) {
  ill <- data$probability[data$disabled == 1]
  well <- data$probability[data$disabled == 0]
  sensitivity <- mean(ill >= 0.5)
  specificity <- mean(well < 0.5)
  wins <- outer(ill, well, ">") + outer(ill, well, "==") / 2
  c(balanced_accuracy = (sensitivity + specificity) / 2, sensitivity = sensitivity,
    specificity = specificity, auc = mean(wins))
}
qualities <- t(apply(drawn, 1, function(i) quality(classes[i, ])))
results$classification <- sapply(colnames(qualities), function(name) {
  c(quality(classes)[[name]], ends(qualities[, name]))
}, simplify = FALSE)

# --- logistic regression in folds: ridge penalty 1/2, balanced weights, standardised terms -----
cohort <- read.csv("cohort.csv")
cohort <- cohort[!is.na(cohort$sdmt), ]
cohort$disabled <- as.numeric(cohort$sdmt >= 45)
cohort$fold <- sample(rep(0:3, length.out = nrow(cohort)))
write.csv(cohort[c("subject", "fold")], "folds.csv", row.names = FALSE)
terms <- cbind(cohort$volume, cohort$age, as.numeric(cohort$sex == "M"))
probability <- numeric(nrow(cohort))
for (fold in 0:3) {
  train <- cohort$fold != fold
  centre <- colMeans(terms[train, ])
  spread <- apply(terms[train, ], 2, function(x) sqrt(mean((x - mean(x))^2)))
  x <- cbind(1, t((t(terms) - centre) / spread))
  y <- cohort$disabled[train]
  weight <- ifelse(y == 1, length(y) / (2 * sum(y)), length(y) / (2 * sum(1 - y)))
  beta <- rep(0, 4)
  ridge <- diag(c(0, 1, 1, 1))
  for (step in 1:50) {
    mu <- plogis(drop(x[train, ] %*% beta))
    gradient <- drop(t(x[train, ]) %*% (weight * (y - mu))) - drop(ridge %*% beta)
    hessian <- t(x[train, ]) %*% (weight * mu * (1 - mu) * x[train, ]) + ridge
    beta <- beta + drop(solve(hessian, gradient))
  }
  probability[!train] <- plogis(drop(x[!train, ] %*% beta))
}
results$folds <- probability

# --- change from the first visit --------------------------------------------------------------
visits <- read.csv("visits.csv")
visits <- visits[order(visits$subject, visits$years), ]
changes <- do.call(rbind, lapply(split(visits, visits$subject), function(v) {
  later <- v[-1, ]
  interval <- later$years - v$years[1]
  change <- later$volume - v$volume[1]
  percent <- 100 * change / v$volume[1]
  data.frame(subject = later$subject, interval, change, percent,
             annual_change = change / interval, annual_percent = percent / interval)
}))
results$change <- as.list(changes)

# --- a travelling subject: the subjects of the repeat scans stand for scanners -----------------
repeats <- read.csv("repeats.csv")
means <- tapply(repeats$volume, repeats$subject, mean)
results$scanners <- list(
  intra = repeats$volume - ave(repeats$volume, repeats$subject),
  inter = unname(as.vector(means - mean(means)))
)

results$provenance <- list(
  R = R.version.string, packages = list(jsonlite = as.character(packageVersion("jsonlite"))),
  script = "make_resampling.R",
  data = "tables of make_reference.R; draws and folds by this script, seed 20261121"
)
write_json(results, "resampling.json", auto_unbox = TRUE, digits = NA, pretty = TRUE, na = "null")
