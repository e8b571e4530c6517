"""The group stage: from the participants' results to tables, figures and page of the cohort."""
