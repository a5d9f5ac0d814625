"""SPICE 1.0, by running the Java program of the reference COCO evaluation on jars of the user's.

    SPICE = F1 of the objects, attributes and relations that candidate and references mention

From 0 to 1. Anderson et al., "SPICE: Semantic Propositional Image Caption Evaluation", ECCV 2016,
https://arxiv.org/abs/1607.08822.

The program (AGPL-3.0) and the parser it calls (Stanford CoreNLP 3.6.0, GPL-3.0, 0.6 GB) are
neither carried nor downloaded. `CUTLINE_SPICE` names the folder with `spice-1.0.jar` and its
`lib/`: a copy of the folder `spice` of `pycocoevalcap`, with the two CoreNLP jars put into `lib/`.
We had no such folder: the way to the program and back is tested, with a stand-in for Java, but no
figure of the real program has been compared with the reference's.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from math import fsum
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from cutline.errors import CutlineError, DataError, UsageError
from cutline.metrics.java import OPTIONS, environment, find_java, why_no_java

__all__ = ["CACHE", "FOLDER", "spice", "why_not"]

# Environment variables: the folder of the jars, and one where parsed captions are kept for another
# time. The reference keeps them beside its jars; without, the figures are the same.
FOLDER, CACHE = "CUTLINE_SPICE", "CUTLINE_SPICE_CACHE"
JAR = "spice-1.0.jar"
ARCHIVE = "https://nlp.stanford.edu/software/stanford-corenlp-full-2015-12-09.zip"

# The last Java whose JavaScript engine, with which the program writes its results, is there.
NEWEST = 14
BECAUSE = "it writes its results with the JavaScript engine that Java 15 dropped"
# The reference allows as much.
MEMORY = "-Xmx8G"

# What a word that must match nothing becomes: for the parser an unknown tag, as `<unk>` is.
NO_MATCH = "<unk->"


def spice(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[float, list[float]]:
    """Compute SPICE of the corpus, which is the mean of the images, and of each image.

    Both are given as words (`ptb_tokenize`); a word of a candidate with a NUL in it matches
    nothing.

    Raises UsageError where `why_not` says why, CutlineError when the program fails.
    """
    if len(candidates) != len(references) or not candidates:
        raise UsageError(
            f"SPICE got {len(candidates)} captions for {len(references)} images; "
            "give one caption for each image, and at least one image"
        )
    if missing := [i for i, group in enumerate(references) if not group]:
        raise DataError(f"SPICE needs references, and image number {missing[0]} has none")
    if reason := why_not():
        raise UsageError(reason)
    with tempfile.TemporaryDirectory(prefix="cutline_spice_") as folder:
        given, made = Path(folder, "in.json"), Path(folder, "out.json")
        # ASCII, whatever Java takes the encoding for.
        given.write_text(json.dumps(_rows(candidates, references)), "ascii")
        _run(given, made)
        images = _read(made, len(candidates))
    return fsum(images) / len(images), images


def why_not() -> str | None:
    """Say in one sentence why SPICE cannot be computed here, or nothing when it can."""
    return _why_no_jars() or why_no_java("SPICE", newest=NEWEST, because=BECAUSE)


def _why_no_jars() -> str | None:
    named = os.environ.get(FOLDER)
    if not named:
        return (
            f"SPICE needs {JAR} and its lib/, which Cutline does not carry: "
            f"set {FOLDER} to the folder that holds them"
        )
    folder = Path(named)
    if not (folder / JAR).is_file():
        return f"SPICE needs '{folder / JAR}', which is not there: {FOLDER} names its folder"
    try:
        needed = _libraries(folder / JAR)
    except (BadZipFile, KeyError, OSError):
        return f"SPICE needs '{folder / JAR}', which is not a whole jar: copy it again"
    missing = [name for name in needed if not (folder / name).is_file()]
    if not missing:
        return None
    files = ", ".join(f"'{folder / name}'" for name in missing)
    origin = f"; the CoreNLP ones are in {ARCHIVE}" if "corenlp" in files else ""
    return f"SPICE needs {files}, which {'are' if missing[1:] else 'is'} not there{origin}"


def _libraries(jar: Path) -> list[str]:
    """List the jars that the program loads, as its manifest names them.

    Those with code for one system each (`lmdbjni-linux64`) serve the cache alone.
    """
    with ZipFile(jar) as archive:
        manifest = archive.read("META-INF/MANIFEST.MF").decode()
    # A long line goes on in the next, behind one space.
    lines = manifest.replace("\r\n", "\n").replace("\n ", "").splitlines()
    paths = next((line for line in lines if line.startswith("Class-Path:")), "").split()[1:]
    return [path for path in paths if not re.search("lmdbjni-[a-z]", path)]


def _rows(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> list[dict[str, object]]:
    return [
        {
            "image_id": image,
            "test": " ".join(NO_MATCH if "\0" in word else word for word in words),
            "refs": [" ".join(reference) for reference in group],
        }
        for image, (words, group) in enumerate(zip(candidates, references, strict=True))
    ]


def _run(given: Path, made: Path) -> None:
    java = find_java()
    assert java is not None
    command = [java, *OPTIONS, MEMORY, "-jar", JAR, str(given)]
    if named := os.environ.get(CACHE):
        cache = Path(named).resolve()
        cache.mkdir(parents=True, exist_ok=True)
        command += ["-cache", str(cache)]
    done = subprocess.run(
        [*command, "-out", str(made), "-subset", "-silent"],
        cwd=os.environ[FOLDER],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0 or not made.is_file():
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise CutlineError(f"SPICE's Java program failed; its first words: {said[:500]}")


def _read(made: Path, count: int) -> list[float]:
    """Read the F of all tuples of each image.

    Those of one kind, such as colours, are null where the references mention none; F of all is 0.
    """
    try:
        rows = json.loads(made.read_text("utf-8"))
        figures = {row["image_id"]: float(row["scores"]["All"]["f"]) for row in rows}
        return [figures[image] for image in range(count)]
    except (ValueError, KeyError, TypeError) as error:
        raise CutlineError(
            f"SPICE's Java program wrote results without a figure: {error}"
        ) from None
