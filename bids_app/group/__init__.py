"""The group stage: from the participants' results to the cohort's tables, figures and page."""
