# Makes the expected results of tests/statistics/reference/tests.json with R from the inputs of
# make_reference.R, independently of the package. Run in this folder: Rscript make_tests.R
# Needs r-base-core and, of Debian's r-cran-*: afex, effectsize, jsonlite, lmertest, ordinal, proc.
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

write_json(results, "tests.json", digits = 12, auto_unbox = TRUE, pretty = TRUE)
