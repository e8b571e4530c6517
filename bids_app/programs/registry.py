"""All programs that thalbids can run or whose results it can read: one line each."""

from __future__ import annotations

from pkgutil import resolve_name

from bids_app.programs.method import AuxiliaryProgram, ExternalMethod, FinishedMethod

# Module in this folder, and the name of the declaration in it. Help texts list programs in this
# order.
_DECLARATIONS = (
    "freesurfer:FREESURFER",
    "first:FIRST",
    "fastsurfer:FASTSURFER",
    "synthseg:SYNTHSEG",
    "samseg:SAMSEG",
    "dbsegment:DBSEGMENT",
    "mindglide:MINDGLIDE",
    "mindglide:MINDGLIDE_1",
    "flirt:FLIRT",
    "siena:SIENA",
    "thomas:THOMAS",
)
_DECLARED: list[ExternalMethod | AuxiliaryProgram | FinishedMethod] = [
    resolve_name(f"{__package__}.{text}") for text in _DECLARATIONS
]

# What can be run.
PROGRAMS = {each.name: each for each in _DECLARED if not isinstance(each, FinishedMethod)}

EXTERNAL_METHODS = {
    name: program for name, program in PROGRAMS.items() if isinstance(program, ExternalMethod)
}
AUXILIARY_PROGRAMS = {
    name: program for name, program in PROGRAMS.items() if isinstance(program, AuxiliaryProgram)
}
# Methods whose finished results have a layout of their own.
READABLE_METHODS = {each.name: each for each in _DECLARED if not isinstance(each, AuxiliaryProgram)}
