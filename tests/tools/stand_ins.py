#!/usr/bin/env python3
"""Stand-ins for the external programs: their arguments, file names and side effects, no science.

One file, which does what the program does by whose name it is called. It needs nothing but Python,
so that it runs in any image. The "segmentation" reads the intensities that the tests give to the
left thalamus, the right one and other deep grey matter.

In the environment, ``STAND_IN`` makes a program ``fail``, ``hang``, write ``nothing``, a
``series``, something ``incomplete``, or a ``wrong-grid`` (flirt: no affine matrix; siena: no
final estimate).
"""

from __future__ import annotations

import array
import gzip
import os
import struct
import sys
import time
from pathlib import Path

LEFT, RIGHT, DEEP, SKULL = 700, 800, 600, 900
CODES = {2: "B", 4: "h", 8: "i", 16: "f", 64: "d", 512: "H"}
MODE = os.environ.get("STAND_IN", "")


class Image:
    """Voxels, first axis fastest, and the affine of a NIfTI file."""

    def __init__(self, path: Path) -> None:
        content = gzip.decompress(path.read_bytes())
        self.shape = struct.unpack_from("<3h", content, 42)
        (code,) = struct.unpack_from("<h", content, 70)
        (offset,) = struct.unpack_from("<f", content, 108)
        self.affine = [struct.unpack_from("<4f", content, 280 + 16 * row) for row in range(3)]
        values = array.array(CODES[code])
        values.frombytes(content[int(offset) :][: values.itemsize * self.size])
        self.values = [round(value) for value in values]

    @property
    def size(self) -> int:
        x, y, z = self.shape
        return x * y * z

    def labels(self, table: dict[int, int]) -> bytes:
        return bytes(table.get(value, 0) for value in self.values)


def write_nifti(path: Path, image: Image, labels: bytes, volumes: int = 1) -> None:
    header = bytearray(352)
    dimensions = (3 if volumes == 1 else 4, *image.shape, volumes, 1, 1, 1)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, *dimensions)
    struct.pack_into("<hh", header, 70, 2, 8)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<ff", header, 108, 352, 1)
    struct.pack_into("<hh", header, 252, 0, 1)
    for row in range(3):
        values = [1.0 if row == column else 0.0 for column in range(4)]
        if MODE != "wrong-grid":
            values = list(image.affine[row])
        struct.pack_into("<4f", header, 280 + 16 * row, *values)
    header[344:348] = b"n+1\0"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(bytes(header) + labels * volumes, 1))


def write_mgh(path: Path, image: Image, labels: bytes) -> None:
    """As in FreeSurfer's conformed space, whose axes run left, inferior, anterior."""
    x, y, z = image.shape
    turned = bytes(
        labels[(x - 1 - i) + x * (k + y * (z - 1 - j))]
        for k in range(y)
        for j in range(z)
        for i in range(x)
    )
    columns = [[row[axis] for row in image.affine] for axis in range(3)]
    sizes = [sum(value**2 for value in column) ** 0.5 for column in columns]
    units = [
        [value / size for value in column] for column, size in zip(columns, sizes, strict=True)
    ]
    axes = [[-value for value in units[0]], [-value for value in units[2]], units[1]]
    # World position of voxel N/2 along the turned axes.
    middle = ((x - 1) - x / 2, y / 2, (z - 1) - z / 2)
    centre = [sum(row[n] * middle[n] for n in range(3)) + row[3] for row in image.affine]
    header = struct.pack(">7ih", 1, x, z, y, 1, 0, 0, 1)
    header += struct.pack(">3f", sizes[0], sizes[2], sizes[1])
    header += struct.pack(">9f", *(value for axis in axes for value in axis))
    header += struct.pack(">3f", *centre)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(header.ljust(284, b"\0") + turned, 1))


def write_statistics(path: Path, etiv: bool) -> None:
    lines = ["# Title Segmentation Statistics"]
    if etiv:
        lines.append(
            "# Measure EstimatedTotalIntraCranialVol, eTIV, Estimated Total Intracranial Volume, "
            "1573720.795071, mm^3"
        )
    lines += [
        "# ColHeaders  Index SegId NVoxels Volume_mm3 StructName normMean",
        "  5  10      7453     7601.1  Left-Thalamus   85.1",
        " 23  49      7100     7203.4  Right-Thalamus  84.2",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def options(words: list[str], flags: tuple[str, ...] = ()) -> dict[str, str]:
    values, remaining = {}, list(words)
    while remaining:
        name = remaining.pop(0)
        if not name.startswith("-"):
            sys.exit(f"unexpected argument {name}")
        values[name] = "" if name in flags else remaining.pop(0)
    return values


def misbehave() -> None:
    sys.stdout.write("loading the model\n")
    sys.stdout.flush()
    if MODE == "fail":
        sys.exit("Segmentation fault in stage 3")
    if MODE == "hang":
        time.sleep(600)


def recon_all(words: list[str]) -> None:
    given = options(words, ("-all",))
    licence = os.environ.get("FS_LICENSE", "")
    if not licence or not Path(licence).is_file():
        sys.exit("ERROR: FreeSurfer license file /usr/local/freesurfer/license.txt not found.")
    subject = Path(given["-sd"], given["-s"])
    subject.mkdir()
    if MODE != "nothing":
        image = Image(Path(given["-i"]))
        write_mgh(
            subject / "mri" / "aseg.mgz", image, image.labels({LEFT: 10, RIGHT: 49, DEEP: 11})
        )
        write_statistics(subject / "stats" / "aseg.stats", etiv=True)


def run_first_all(words: list[str]) -> None:
    given = options(words, ("-b",))
    source, prefix = Path(given["-i"]), given["-o"]
    if os.access(source.parent, os.W_OK):
        source.with_name("image_to_std_sub.nii.gz").write_bytes(b"registration")
    logs = Path(f"{prefix}.logs")
    logs.mkdir()
    if os.environ.get("SGE_ROOT"):
        return  # handed to the cluster
    image = Image(source)
    if given["-s"] != "L_Thal,R_Thal" or SKULL in image.values:
        (logs / "first.e1").write_text("ERROR: registration failed: is there still a skull?\n")
        return
    labels = image.labels({LEFT: 10, RIGHT: 49})
    volumes = 2 if MODE == "series" else 1
    write_nifti(Path(f"{prefix}_all_none_origsegs.nii.gz"), image, labels, 2)
    (logs / "first.e1").touch()
    if MODE != "nothing":
        write_nifti(Path(f"{prefix}_all_none_firstseg.nii.gz"), image, labels, volumes)


def run_fastsurfer(words: list[str]) -> None:
    flags = ("--seg_only", "--no_cereb", "--no_hypothal", "--allow_root")
    given = options(words, flags)
    if os.getuid() == 0 and "--allow_root" not in given:
        sys.exit("You are trying to run 'run_fastsurfer.sh' as root.")
    folder = Path(given["--sd"], given["--sid"])
    image = Image(Path(given["--t1"]))
    labels = image.labels({LEFT: 10, RIGHT: 49, DEEP: 11})
    write_mgh(folder / "mri" / "aparc.DKTatlas+aseg.deep.mgz", image, labels)
    write_statistics(folder / "stats" / "aseg+DKT.stats", etiv=False)


def product(*matrices: list[list[float]]) -> list[list[float]]:
    first, *rest = matrices
    for second in rest:
        first = [[sum(row[n] * second[n][k] for n in range(4)) for k in range(4)] for row in first]
    return first


def inverse(matrix: list[list[float]]) -> list[list[float]]:
    """By elimination."""
    rows = [[*row, *(float(i == k) for k in range(4))] for i, row in enumerate(matrix)]
    for i in range(4):
        pivot = max(range(i, 4), key=lambda k: abs(rows[k][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(4):
            if k != i:
                factor = rows[k][i]
                rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [row[4:] for row in rows]


def fsl_to_world(image: Image) -> list[list[float]]:
    """From FSL's mm, which run against the first axis of a right-handed image."""
    columns = [[row[axis] for row in image.affine] for axis in range(3)]
    x, y, z = [sum(value**2 for value in column) ** 0.5 for column in columns]
    (a, b, c), (d, e, f), (g, h, i) = columns
    right_handed = a * (e * i - f * h) - d * (b * i - c * h) + g * (b * f - c * e) > 0
    voxel = [[1 / x, 0, 0, 0], [0, 1 / y, 0, 0], [0, 0, 1 / z, 0], [0, 0, 0, 1.0]]
    if right_handed:
        voxel[0] = [-1 / x, 0, 0, image.shape[0] - 1.0]
    return product([*(list(row) for row in image.affine), [0, 0, 0, 1.0]], voxel)


def flirt(words: list[str]) -> None:
    """Takes the images for aligned by their headers, wherever a search would have begun."""
    given = options(words, ("-nosearch",))
    costs = ("mutualinfo", "corratio", "normcorr", "normmi", "leastsq")
    if given.get("-cost", "corratio") not in costs or given["-dof"] not in ("6", "7", "9", "12"):
        sys.exit("Unrecognised cost function type")
    if not os.environ.get("FSLOUTPUTTYPE"):
        sys.exit("ERROR:: Environment variable FSLOUTPUTTYPE is not set!")
    moving, fixed = Image(Path(given["-in"])), Image(Path(given["-ref"]))
    if "-refweight" in given and Image(Path(given["-refweight"])).shape != fixed.shape:
        sys.exit("weight and reference differ in size")
    matrix = product(inverse(fsl_to_world(fixed)), fsl_to_world(moving))
    if "-init" in given:
        text = Path(given["-init"]).read_text()
        matrix = [[float(value) for value in line.split()] for line in text.splitlines()]
    if MODE == "wrong-grid":
        matrix[0][0] = float("nan")
    lines = ["".join(f"{value:.10f}  " for value in row) for row in matrix]
    sys.stdout.write("\nFinal result: \n" + "\n".join(lines) + "\n")
    if MODE != "nothing":
        Path(given["-omat"]).write_text("\n".join(lines) + "\n")


def siena(words: list[str]) -> None:
    """Counts what is brighter than nothing; like the script, it ends well whatever happens."""
    first, later, *rest = words
    given = options(rest)
    if "/" in first + later or not os.environ.get("FSLOUTPUTTYPE"):
        sys.exit("input names must not contain directories")
    sizes = [sum(value > 0 for value in Image(Path(name)).values) for name in (first, later)]
    folder = Path(given.get("-o", "A_to_B_siena"))
    folder.mkdir()
    Path("A_brain.nii.gz").touch()
    if MODE == "nothing":
        return
    change = 100 * (sizes[1] - sizes[0]) / sizes[0]
    lines = ["SIENA - Structural Image Evaluation, using Normalisation, of Atrophy", ""]
    for direction, sign in (("B to A", -1), ("A to B", 1)):
        lines += [
            f"finding brain edge motion: {direction}",
            "AREA  176821.2 mm^2",
            f"VOLC  {sign * 4311.7} mm^3",
            f"RATIO {sign * 0.0243} mm",
            f"PBVC  {sign * change} %",
        ]
    if MODE != "wrong-grid":
        lines.append(f"finalPBVC {change} %")
    (folder / "report.siena").write_text("\n".join(lines) + "\n")
    (folder / "report.html").write_text("<HTML>")


def mri_synthseg(words: list[str]) -> None:
    given = options(words, ("--cpu",))
    image = Image(Path(given["--i"]))
    write_nifti(Path(given["--o"]), image, image.labels({LEFT: 10, RIGHT: 49, DEEP: 11}))
    Path(given["--vol"]).write_text(
        "subject,total intracranial,left thalamus,right thalamus\nimage,1500000.5,6500.5,6400.25\n"
    )


def run_samseg(words: list[str]) -> None:
    """Labels, statistics in FreeSurfer's format and posteriors, on the grid of the first image."""
    words = [*words, "--"]
    given: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("-"):
            given[word] = []
        else:
            given[list(given)[-1]].append(word)
    unknown = set(given) - {"-i", "-o", "--threads", "--save-posteriors", "--pallidum-separate"}
    if unknown - {"--"} or given["--threads"] != ["1"]:
        sys.exit(f"run_samseg: error: unrecognized arguments: {unknown}")
    images = [Image(Path(name)) for name in given["-i"]]
    if len({image.shape for image in images}) != 1:
        sys.exit("could not broadcast input array")
    result, image = Path(given["-o"][0]), images[0]
    if MODE == "nothing":
        return
    write_mgh(result / "seg.mgz", image, image.labels({LEFT: 10, RIGHT: 49, DEEP: 11}))
    for name, value in (("Left-Thalamus", LEFT), ("Right-Thalamus", RIGHT)):
        assert name in given["--save-posteriors"]
        if MODE != "incomplete":
            posterior = image.labels({value: 1})
            write_mgh(result / "posteriors" / f"{name}.mgz", image, posterior)
    write_statistics(result / "samseg.fs.stats", etiv=True)


DBSEGMENT_MODEL = (
    "deep_brain_seg_model_2f/model/nnUNet/3d_fullres/Task054_Mri/nnUNetTrainerV2__nnUNetPlansv2.1"
)


def make_dbsegment_model(folder: Path) -> None:
    """Make what the stand-in takes for downloaded weights."""
    for fold in ("fold_4", "fold_6"):
        (folder / DBSEGMENT_MODEL / fold).mkdir(parents=True)
    (folder / DBSEGMENT_MODEL / "plans.pkl").touch()


def dbsegment(words: list[str]) -> None:
    given = options(words)
    folder, result, models = given["-i"], Path(given["-o"]), given["-mp"]
    if not models.endswith("/") or not Path(models).is_dir():
        sys.exit(f"cannot write {models}deep_brain_seg_model.zip")
    model = Path(models, DBSEGMENT_MODEL)
    if not all((model / name).exists() for name in ("plans.pkl", "fold_4", "fold_6")):
        sys.exit("cannot download the model")
    (model / "fold_0").mkdir(exist_ok=True)
    (Path(models) / "deep_brain_seg_model_2f" / "nnUNet_raw_data").mkdir(exist_ok=True)
    for source in sorted(Path(folder).glob("*.nii.gz")):
        image = Image(source)
        copy = Path(folder, "preprocessed_v3", source.name.replace(".nii.gz", "_0000.nii.gz"))
        write_nifti(copy, image, bytes(image.size))
        # The ventral nuclei are the thalamus's first voxels; 28 is the ventricle.
        labels = bytearray(image.labels({LEFT: 24, RIGHT: 25, DEEP: 28}))
        for whole, nuclei in ((24, (26, 30)), (25, (27, 31))):
            start = labels.find(whole)
            labels[start : start + 2] = bytes(nuclei)
        write_nifti(result / "preprocessed_v3" / source.name, image, bytes(labels))
        # The registration to the scan is off by a voxel.
        moved = bytes(labels[1:]) + b"\0"
        write_nifti(result / source.name, image, moved)
        mask = source.name.replace(".nii.gz", "_brainmask.nii.gz")
        write_nifti(result / mask, image, bytes(min(value, 1) for value in moved))


def mindglide(words: list[str]) -> None:
    given = options(words)
    source, result = Path(given["-i"]), Path(given["-o"])
    if given.get("--device") not in ("cpu", "cuda", "auto"):
        sys.exit("no such device")
    if not source.is_file() or result == source:
        sys.exit("refusing to overwrite the input")
    if "--model-path" in given and not Path(given["--model-path"]).is_file():
        sys.exit(f"no weights at {given['--model-path']}")
    if MODE != "nothing":
        image = Image(source)
        write_nifti(result, image, image.labels({LEFT: 3, RIGHT: 3, DEEP: 3}))


def mindglide_1(words: list[str]) -> None:
    """Version 1.0, which works in /mnt and knows one argument."""
    source = Path(words[0])
    if not source.is_file():
        sys.exit(f"{source} is not in the mounted folder")
    image = Image(source)
    result = source.name.removesuffix(".nii.gz") + "-seg.nii.gz"
    write_nifti(Path(result), image, image.labels({LEFT: 3, RIGHT: 3, DEEP: 3}))
    Path("labels.csv").write_text("Label_ID,Region_Name,Volume\n3,DGM,1\n")


def dbsegment_image(words: list[str]) -> None:
    """Entry point of DBSegment's image, which gives the folders and loses its first argument."""
    dbsegment([*words[1:], "-i", "/input", "-o", "/output", "-mp", "/models/"])


PROGRAMS = {
    "recon-all": recon_all,
    "run_first_all": run_first_all,
    "flirt": flirt,
    "siena": siena,
    "run_fastsurfer.sh": run_fastsurfer,
    "run_samseg": run_samseg,
    "mri_synthseg": mri_synthseg,
    "DBSegment": dbsegment,
    "dbsegment-image": dbsegment_image,
    "mindglide": mindglide,
    "mindglide-1.0": mindglide_1,
}

if __name__ == "__main__":
    if sys.argv[1:] in (["--version"], ["-version"]):
        sys.stdout.write(f"{Path(sys.argv[0]).name} stand-in 1\n")
    else:
        misbehave()
        PROGRAMS[Path(sys.argv[0]).name](sys.argv[1:])
