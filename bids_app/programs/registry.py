"""All programs that thalbids can run or whose results it can read: one line each."""

from __future__ import annotations

from pkgutil import resolve_name

from bids_app.programs.method import AuxiliaryProgram, ExternalMethod

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
)

PROGRAMS: dict[str, ExternalMethod | AuxiliaryProgram] = {
    program.name: program
    for program in (resolve_name(f"{__package__}.{text}") for text in _DECLARATIONS)
}

EXTERNAL_METHODS = {
    name: program for name, program in PROGRAMS.items() if isinstance(program, ExternalMethod)
}
AUXILIARY_PROGRAMS = {
    name: program for name, program in PROGRAMS.items() if isinstance(program, AuxiliaryProgram)
}
