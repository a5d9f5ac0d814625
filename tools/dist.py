"""Check the sdist and the wheel in a folder: what must be in them, and what must not.

python tools/dist.py dist
"""

import sys
import tarfile
import zipfile
from pathlib import Path

NEEDED = (
    "cutline/__init__.py",
    "cutline/py.typed",
    "cutline/models/flickr8k-small/config.json",
    "cutline/models/flickr8k-small/model.safetensors",
    "cutline/models/flickr8k-small/step.onnx",
    "recipes/scenes/soft.yaml",
    "LICENSE",
)
UNWANTED = (".git/", ".venv", "__pycache__", "runs/", "shared/", ".ckpt", "latest.png")
LARGEST = 30_000_000  # bytes of one file


def sizes(archive: Path) -> dict[str, int]:
    """Return the size in bytes of each file in a wheel or an sdist."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {entry.filename: entry.file_size for entry in wheel.infolist()}
    with tarfile.open(archive) as sdist:
        return {entry.name: entry.size for entry in sdist if entry.isfile()}


def faults(files: dict[str, int]) -> list[str]:
    """Say in a sentence each what is missing, unwanted or too large."""
    said = [f"{name} is missing" for name in NEEDED if not any(f.endswith(name) for f in files)]
    said += [f"{name} does not belong in it" for name in files if any(u in name for u in UNWANTED)]
    said += [f"{name} has {size:,} bytes" for name, size in files.items() if size > LARGEST]
    return said


def main(folder: Path) -> int:
    """Check both archives of a folder; print what was found."""
    archives = [*folder.glob("*.tar.gz"), *folder.glob("*.whl")]
    if {archive.suffix for archive in archives} != {".gz", ".whl"}:
        print(f"{folder} has not both an sdist and a wheel; `make dist` writes them")
        return 2
    wrong = 0
    for archive in archives:
        files = sizes(archive)
        print(f"{archive.name}: {len(files)} files, {archive.stat().st_size / 1e6:.1f} MB")
        for fault in faults(files):
            print(f"  {fault}")
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
