"""The analysis file: declaration of the analyses in TOML, checked against a schema."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bids_app.errors import BadDataError, MissingInputError
from bids_app.group.harmonisation_plan import HarmonisationPlan
from bids_app.group.shipped_analyses import DEFAULT, shipped_file, shipped_names
from bids_app.statistics.choices import Direction, Rule, Step

Schema = TypeVar("Schema")

# Whole numbers of TOML have 64 bits.
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Outcome:
    """An outcome of a set of models; the shipped analysis file explains the keys."""

    column: str
    transform: Literal["identity", "log"] = "identity"
    errors: Literal["classical", "HC3"] = "classical"
    better_below: float = 0.0
    worse_above: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ModelSet:
    """Models that share type and covariates; the shipped analysis file explains the keys."""

    name: str
    type: Literal["cross-sectional", "longitudinal", "ordinal", "mixed"]
    outcomes: tuple[Outcome, ...]
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    standardised: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    at_followup: tuple[str, ...] = ()
    subset: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    without: tuple[str, ...] = ()
    winsorise: tuple[float, float] | None = None
    family: Literal["all", "outcome"] = "all"

    @property
    def main(self) -> bool:
        """Whether the models are of all participants, with their volumes as they are."""
        return not self.subset and self.winsorise is None


@dataclass(frozen=True)
class Sessions:
    """Order of the sessions, and choice of the follow-up."""

    time: str
    followup_years: float
    followup_range: tuple[float, float]


@dataclass(frozen=True)
class Characteristics:
    """Columns by which the participants are described."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class Overlap:
    """Measures of overlap to compare between methods, and which p-values are adjusted together."""

    measures: tuple[Literal["dice", "precision", "sensitivity", "hd", "hd95", "assd"], ...]
    family: Literal["all", "measure"]


@dataclass(frozen=True)
class Containment:
    """Contrasts whose masks are compared with one another; empty for all."""

    contrasts: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """Delta degrees of freedom of the concordance correlation coefficient."""

    ddof: Literal[0, 1]


@dataclass(frozen=True)
class Change:
    """Measures of change to compare between methods, and which p-values are adjusted together."""

    measures: tuple[Literal["change_ml", "percent", "annual_change_ml", "annual_percent"], ...]
    family: Literal["all", "measure"]


@dataclass(frozen=True)
class Scanners:
    """Time since the first session, in years, within which sessions are repeat scans."""

    within_years: float


@dataclass(frozen=True)
class SampleSize:
    """Slowing of atrophy (fraction), power and two-sided level of the trial."""

    slowing: float
    power: float
    alpha: float


@dataclass(frozen=True)
class Stratification:
    """Outcome, its threshold, folds, images for a network, stored classifiers."""

    outcome: str
    threshold: float
    folds: int
    images: Literal["none", "T1w"]
    classifiers: str


@dataclass(frozen=True)
class Groups:
    """Columns whose levels are compared in percentage change, and the covariates."""

    by: tuple[str, ...]
    covariates: tuple[str, ...]


@dataclass(frozen=True)
class ProgressionRule:
    """An outcome whose worsening is progression; the shipped analysis file explains the keys."""

    column: str
    steps: tuple[Step, ...] = ()
    percent: float | None = None
    worse: Direction = "higher"


@dataclass(frozen=True)
class Progression:
    """Rules of progression, time to its confirmation (years), and covariates of the models."""

    outcomes: tuple[ProgressionRule, ...]
    confirmation_years: float
    covariates: tuple[str, ...]
    regression: tuple[str, ...]


@dataclass(frozen=True)
class Normative:
    """Healthy participants or a stored norm, rule, inter-scanner SD (mL) by segmentation."""

    column: str
    controls: tuple[str, ...]
    norm: str
    rule: Rule
    scanner_sd: Literal["auto"] | Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class AnalysisPlan:
    """Content of an analysis file; the shipped one explains the keys.

    Attributes
    ----------
    analyses : tuple of str
        Names in `bids_app.group.registry.ANALYSES`. Empty for all, in the order given there.
    segmentations : tuple of str
        Empty for all.
    flagged : {'keep', 'exclude'}
        Whether volumes flagged by quality control are analysed.
    verdict : {'measured', 'check', 'all'}
        Changes that are analysed: those that are measured, also those to check, or all.
    sample : {'available', 'common'}
        Participants on whom methods are compared: those of each method, or those of all methods.
    icv : str
        Method whose intracranial volume is used; ``auto`` for the one that measured the most
        participants.
    reference : str
    confidence : float
        In (0, 1).
    resamples, seed : int
        Number of bootstrap samples, and the seed of the random generator.
    columns : mapping of str to tuple of str
        Common name of a column to its names in datasets.
    for rule in plan.progression.outcomes:
        _check_rule(rule, f"{file}: 'progression.outcomes', {rule.column}")
    declared = plan.normative.scanner_sd
    for name, sd in () if isinstance(declared, str) else declared.items():
        One object per table of the file.
    model : tuple of ModelSet
    """

    analyses: tuple[str, ...]
    segmentations: tuple[str, ...]
    flagged: Literal["keep", "exclude"]
    verdict: Literal["measured", "check", "all"]
    sample: Literal["available", "common"]
    icv: str
    reference: str
    confidence: float
    resamples: int
    seed: int
    columns: Mapping[str, tuple[str, ...]]
    sessions: Sessions
    characteristics: Characteristics
    overlap: Overlap
    containment: Containment
    agreement: Agreement
    change: Change
    harmonisation: HarmonisationPlan
    scanners: Scanners
    sample_size: SampleSize
    groups: Groups
    progression: Progression
    stratification: Stratification
    normative: Normative
    model: tuple[ModelSet, ...]


def read_analysis_file(path: Path | None = None) -> AnalysisPlan:
    """Read an analysis file; keys that it omits keep the values of the default one.

    Parameters
    ----------
    path : Path, optional
        Without one, the default alone: the design of Ibrahim et al. 2026.

    Returns
    -------
    AnalysisPlan

    Raises
    ------
    MissingInputError
        If it cannot be read.
    BadDataError
        If it is not TOML, or a key is unknown, missing or of the wrong kind; the message names
        file, table and key, and what was expected.
    """
    shipped = shipped_file(DEFAULT)
    content = tomllib.loads(shipped.read_text(encoding="utf-8"))
    if path in (None, shipped):
        return _read(AnalysisPlan, content, "The shipped analysis file")
    try:
        changes = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise MissingInputError(
            f"Cannot read the analysis file {path}: {error.strerror}. Expected a TOML file, or the "
            f"name of one that is shipped: {', '.join(shipped_names())}."
        ) from error
    except RecursionError as error:
        raise BadDataError(
            f"The analysis file {path} is not valid TOML: brackets are nested too deep."
        ) from error
    except ValueError as error:
        raise BadDataError(f"The analysis file {path} is not valid TOML: {error}.") from error
    for key, value in changes.items():
        merge = isinstance(value, dict) and isinstance(content.get(key), dict)
        content[key] = {**content[key], **value} if merge else value
    plan = _read(AnalysisPlan, content, f"The analysis file {path}")
    _check(plan, f"The analysis file {path}")
    if plan.harmonisation.method != "none":
        plan = replace(plan, model=tuple(_with_batch(each, plan) for each in plan.model))
    if plan.normative.norm:
        norm = str(path.parent / plan.normative.norm)
        plan = replace(plan, normative=replace(plan.normative, norm=norm))
    if plan.stratification.classifiers:
        file = str(path.parent / plan.stratification.classifiers)
        plan = replace(plan, stratification=replace(plan.stratification, classifiers=file))
    return plan


def _check(plan: AnalysisPlan, file: str) -> None:
    """Raise an error for values of the right type that are out of range."""
    fractions = {
        "confidence": plan.confidence,
        "sample_size.slowing": plan.sample_size.slowing,
        "sample_size.power": plan.sample_size.power,
        "sample_size.alpha": plan.sample_size.alpha,
    }
    for key, value in fractions.items():
        if not 0 < value < 1:
            raise BadDataError(f"{file}: '{key}' is {value}. Expected a number between 0 and 1.")
    if plan.resamples < 1 or plan.stratification.folds < 2:
        raise BadDataError(f"{file}: 'resamples' must be at least 1, 'stratification.folds' 2.")
    low, high = plan.sessions.followup_range
    if not 0 <= low <= high:
        raise BadDataError(
            f"{file}: 'sessions.followup_range' is [{low}, {high}]. Expected 0 ≤ low ≤ high, years."
        )
    if not low <= plan.sessions.followup_years <= high:
        raise BadDataError(
            f"{file}: 'sessions.followup_years' is {plan.sessions.followup_years}, outside "
            f"'sessions.followup_range' ([{low}, {high}]). Set limits around it."
        )
    for rule in plan.progression.outcomes:
        _check_rule(rule, f"{file}: 'progression.outcomes', {rule.column}")
    declared = plan.normative.scanner_sd
    for name, sd in () if isinstance(declared, str) else declared.items():
        if not sd >= 0:
            raise BadDataError(
                f"{file}: 'normative.scanner_sd.{name}' is {sd}. Expected mL, not negative."
            )
    batch = plan.harmonisation.batch
    if batch in (*plan.harmonisation.numeric, *plan.harmonisation.categorical):
        raise BadDataError(
            f"{file}: 'harmonisation' preserves the covariate '{batch}', which is its batch. "
            "Remove it from 'numeric' or 'categorical'."
        )
    names = [models.name for models in plan.model]
    for number, models in enumerate(plan.model, start=1):
        where = f"{file}: model {number} ('{models.name}')"
        if names.count(models.name) > 1:
            raise BadDataError(f"{where} shares its name with another. Names are unique.")
        _check_models(models, where)


def _check_rule(rule: ProgressionRule, where: str) -> None:
    """Raise an error for a rule of progression that is none."""
    if bool(rule.steps) == (rule.percent is not None):
        raise BadDataError(f"{where}: expected either 'steps' or 'percent'.")
    limits = [step.up_to for step in rule.steps]
    if limits != sorted(set(limits)):
        raise BadDataError(f"{where}: 'up_to' of the steps is {limits}. Expected ascending limits.")
    changes = [step.by for step in rule.steps] or [rule.percent or 0.0]
    if not min(changes) > 0:
        raise BadDataError(f"{where}: changes that count must be above 0.")


def _with_batch(models: ModelSet, plan: AnalysisPlan) -> ModelSet:
    """Add the batch of the harmonisation to the covariates of models.

    Models of volumes that were harmonised in a step before underestimate standard errors without it
    (Nygaard et al. 2016, Biostatistics 17:29-39).
    """
    batch = plan.harmonisation.batch
    if batch in (*models.numeric, *models.categorical):
        return models
    return replace(models, categorical=(*models.categorical, batch))


def _check_models(models: ModelSet, where: str) -> None:
    if not models.outcomes:
        raise BadDataError(f"{where} has no outcomes. Expected at least one column.")
    covariates = (*models.numeric, *models.categorical)
    for key, allowed in (
        ("standardised", models.numeric),
        ("optional", covariates),
        ("at_followup", covariates),
    ):
        strange = set(getattr(models, key)) - set(allowed)
        if strange:
            raise BadDataError(
                f"{where}, key '{key}' names '{min(strange)}', which is not a covariate of "
                f"the model. Expected some of {list(allowed)}."
            )
    if models.winsorise and not 0 <= models.winsorise[0] < models.winsorise[1] <= 1:
        raise BadDataError(
            f"{where}, key 'winsorise' is {list(models.winsorise)}. "
            "Expected two quantiles, 0 ≤ low < high ≤ 1."
        )
    for outcome in models.outcomes:
        if outcome.better_below > outcome.worse_above:
            raise BadDataError(f"{where}, {outcome.column}: better_below exceeds 'worse_above'.")
        if outcome.transform == "log" and models.type in ("longitudinal", "ordinal"):
            raise BadDataError(
                f"{where}, {outcome.column}: changes may be negative and have no logarithm. "
                "Expected transform = 'identity'."
            )


def _read(schema: type[Schema], table: object, where: str) -> Schema:
    """Convert a TOML table to a dataclass whose fields are its keys."""
    if not isinstance(table, dict):
        raise _wrong(where, "a table", table)
    hints = get_type_hints(schema)
    for key in table:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            advice = f"Did you mean '{near[0]}'?" if near else f"Expected one of {list(hints)}."
            raise BadDataError(f"{where}: there is no key '{key}'. {advice}")
    for key in fields(schema):  # type: ignore[arg-type]
        if key.name not in table and key.default is key.default_factory is MISSING:
            raise BadDataError(f"{where}: the key '{key.name}' is missing.")
    return schema(
        **{key: _value(hints[key], value, f"{where}, key '{key}'") for key, value in table.items()}
    )


def _value(kind: Any, value: object, where: str) -> Any:  # noqa: ANN401 (any type of the schema)
    """Check a value against a type hint and return it as that type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        return _value(_alternative(arguments, value, where), value, where)
    if origin is Literal:
        if isinstance(value, bool) or value not in arguments:
            raise _wrong(where, f"one of {list(arguments)}", value)
        return value
    if origin is tuple:
        return _list(arguments, value, where)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _wrong(where, "a table", value)
        items = {key: _value(arguments[1], entry, f"{where}.{key}") for key, entry in value.items()}
        return MappingProxyType(items)
    if isinstance(kind, type) and is_dataclass(kind):
        return _read(kind, value, where)
    expected = {str: "a text", int: "a whole number", float: "a number"}[kind]
    accepted = (int, float) if kind is float else (kind,)
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise _wrong(where, expected, value)
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise BadDataError(f"{where} is beyond ±{_LARGEST}. Expected {expected}.")
    return kind(value)


def _alternative(kinds: tuple[Any, ...], value: object, where: str) -> Any:  # noqa: ANN401
    """Choose among the kinds of a key: a table and a text, or one kind and None."""
    tables = [kind for kind in kinds if get_origin(kind) is Mapping]
    if not tables:
        return kinds[0]
    texts = [text for kind in kinds if get_origin(kind) is Literal for text in get_args(kind)]
    if not isinstance(value, dict) and value not in texts:
        raise _wrong(where, f"a table or one of {texts}", value)
    return tables[0] if isinstance(value, dict) else kinds[0]


def _list(arguments: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    """Check a list: any number of one kind, or a fixed number of values."""
    if not isinstance(value, list):
        raise _wrong(where, "a list", value)
    if arguments[-1] is not Ellipsis and len(value) != len(arguments):
        raise _wrong(where, f"a list of {len(arguments)} values", value)
    kind = arguments[0]
    return tuple(_value(kind, entry, f"{where}, entry {i}") for i, entry in enumerate(value, 1))


def _wrong(where: str, expected: str, value: object) -> BadDataError:
    return BadDataError(f"{where} is {value!r}. Expected {expected}.")
