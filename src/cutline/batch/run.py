"""A run: pictures found, divided into shards, and those shards captioned that are not there yet."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cutline.batch.engine import HERE, check_ray, connected, in_a_pool, one_sentence, room
from cutline.batch.inputs import find_inputs
from cutline.batch.rows import SUFFIXES, check_form
from cutline.batch.shards import Shard, digest, plan
from cutline.batch.storage import Folder, is_address
from cutline.errors import DataError, UsageError
from cutline.files import printable
from cutline.models import SHIPPED, find_model, shipped_models
from cutline.results.lock import only_writer

if TYPE_CHECKING:
    from ray.data import Dataset

    from cutline.batch.workers import Captions

__all__ = ["BatchRun", "Done", "Summary", "caption_dataset", "caption_paths", "usable_model"]

MANIFEST = "_cutline.json"
VERSION = 1
_CALLED = {  # the facts of a run, as sentences call them
    "version": "version of Cutline",
    "shard_size": "size of shards",
    "shards": "set of pictures",
    "pictures": "set of pictures",
}


class Done(NamedTuple):
    """A shard that has been written.

    Attributes:
        file: its name.
        captioned: pictures that have a caption.
        unsure: of these, how many the captioner is not sure of.
        reasons: a sentence for each picture that has none.
    """

    file: str
    captioned: int
    unsure: int
    reasons: list[str]


@dataclass
class Summary:
    """Result of a run: pictures captioned and failed, shards done before, what was not found."""

    captioned: int = 0
    failed: int = 0
    shards: int = 0
    before: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class BatchRun:
    """A run that has been planned: which shards there are, and which are still to be done.

    Attributes:
        captions: how pictures are captioned.
        out: the folder of the shards, or its address.
        form: `parquet` or `jsonl`.
        files: the shards by the names of their files.
        todo: the names of those that are not there yet.
        problems: sentences about inputs that were not found or cannot be read.
        notes: sentences about what was passed over on purpose.
    """

    captions: "Captions"
    out: str
    form: str
    files: dict[str, Shard]
    todo: list[str]
    problems: list[str]
    notes: list[str]

    @classmethod
    @contextmanager
    def open(
        cls,
        paths: Iterable[str],
        out: str,
        captions: "Captions",
        *,
        form: str = "parquet",
        resume: bool = False,
        exclude: Sequence[str] = (),
        size: int | None = None,
        column: str | None = None,
    ) -> Iterator["BatchRun"]:
        """Plan a run, and be the only one that writes to `out`; needs no Ray.

        Args:
            paths: files, folders, globs and addresses of pictures, Parquet files and tars.
            out: the folder of the shards, or its address.
            captions: how.
            form: `parquet` or `jsonl`.
            resume: go on with a folder that is there.
            exclude: globs of what is left out.
            size: pictures in a shard; see `cutline.batch.shards.plan`.
            column: of the pictures in Parquet files.

        Raises:
            UsageError: `out` is there without `resume`, or of another run, or being written.
            DataError: `out` cannot be listed.
        """
        check_form(form)
        folder = Folder(out)
        with nullcontext() if is_address(out) else only_writer(Path(out)):
            there = folder.cleared()
            before = _before(folder, there, resume=resume)
            size = size or before.get("shard_size")
            inputs = find_inputs(paths, out=out, exclude=exclude)
            shards, problems = plan(inputs, size=size, column=column)
            names = [
                f"part-{number:06d}-of-{len(shards):06d}.{SUFFIXES[form]}"
                for number in range(len(shards))
            ]
            if shards:
                _keep(folder, before, _facts(captions, form, size, shards))
            yield cls(
                captions,
                out,
                form,
                dict(zip(names, shards, strict=True)),
                [name for name in names if name not in there],
                inputs.problems + problems,
                inputs.notes,
            )

    def shards(self, address: str = HERE, *, workers: int | None = None) -> Iterator[Done]:
        """Caption what is to be done on Ray; yield each shard when its file is there.

        Args:
            address: of a cluster, as `cutline.batch.engine.check_address` takes it.
            workers: how many; by default as many as there are CPUs for.

        Raises:
            MissingDependencyError: Ray is not installed.
            UsageError: there is no such cluster, or a shard cannot be written.
            ModelError: the model cannot be loaded.
        """
        if not self.todo:
            return
        check_ray(address)
        with connected(address), one_sentence():
            from ray.data import from_items

            from cutline.batch.workers import ShardWorker

            # Ray's workers have a folder of their own, which need not be this one
            there = self.out if is_address(self.out) else str(Path(self.out).absolute())
            items = [{"shard": self.files[name].to_json(), "file": name} for name in self.todo]
            dataset = in_a_pool(
                from_items(items, override_num_blocks=len(items)),
                ShardWorker,
                {"captions": self.captions, "out": there, "form": self.form},
                threads=self.captions.threads,
                workers=min(workers or room(self.captions.threads), len(items)),
                batch=1,
                form="numpy",
            )
            dataset.context.enable_progress_bars = False
            for row in dataset.iter_rows():
                yield Done(**json.loads(row["done"]))


def _before(folder: Folder, there: set[str], *, resume: bool) -> dict[str, Any]:
    """Return the facts of the run that a folder is of; none where there is nothing in it."""
    if not there:
        return {}
    name = printable(folder.place)
    if not resume:
        raise UsageError(
            f"{name} exists and is not overwritten; add --resume to go on with it, or give another "
            "name."
        )
    try:
        facts = json.loads(folder.read(MANIFEST)) if MANIFEST in there else None
    except (DataError, ValueError):
        facts = None
    if not isinstance(facts, dict) or facts.get("version") != VERSION:
        raise UsageError(
            f"{name} holds no shards that can be gone on with (no {MANIFEST} of this version); "
            "give another name."
        )
    return facts


def _keep(folder: Folder, before: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write the facts of a new run; refuse to go on with shards of another one."""
    if not before:
        folder.write(MANIFEST, (json.dumps(facts, indent=1) + "\n").encode())
        return
    other = [_CALLED.get(key, key) for key, value in facts.items() if before.get(key) != value]
    if other:
        raise UsageError(
            f"{printable(folder.place)} was begun with another {other[0]}, and is not gone on "
            "with; give the same command as then, or another name."
        )


def _facts(
    captions: "Captions", form: str, size: int | None, shards: Sequence[Shard]
) -> dict[str, Any]:
    """Return what two runs must have in common to write into one folder."""
    state = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        state.update(Path(find_model(captions.model), name).read_bytes())
    return {
        "version": VERSION,
        "format": form,
        "model": state.hexdigest()[:24],
        "precision": str(captions.precision),
        "beam": captions.beam,
        "strict": captions.strict,
        "shard_size": size,
        "shards": len(shards),
        "pictures": digest(shards),
    }


def usable_model(model: str | None) -> str:
    """Return a model as any node finds it: a name that comes with Cutline, or an absolute path."""
    found = find_model(model or SHIPPED)
    return found.name if found in shipped_models() else str(found.resolve())


def caption_paths(
    paths: str | Iterable[str],
    out: str,
    *,
    model: str | None = None,
    address: str = HERE,
    workers: int | None = None,
    resume: bool = False,
    form: str = "parquet",
    **options: Any,
) -> Summary:
    """Caption files, folders, globs and addresses into a folder of shards.

    >>> from cutline.batch import caption_paths
    >>> caption_paths("s3://bucket/photos", "captions")         # doctest: +SKIP
    Summary(captioned=8091, failed=0, shards=81, before=0, problems=[])

    Args:
        paths: one or several of pictures, Parquet files and tars.
        out: the folder of the shards, or its address.
        model: a folder that every node can read, or the name of a model that comes with Cutline.
        address: of a Ray cluster; by default a Ray of this machine's own, or `$RAY_ADDRESS`.
        workers: how many; by default as many as there are CPUs for.
        resume: do only the shards that are not there yet.
        form: `parquet` or `jsonl`.
        options: `exclude`, `size`, `column` of `BatchRun.open`, and the fields of
            `cutline.batch.Captions`.
    """
    from cutline.batch.workers import Captions

    fields = {key: options.pop(key) for key in Captions._fields if key in options}
    captions = Captions(usable_model(model), **fields)
    given = [paths] if isinstance(paths, str) else paths
    check_ray(address)
    with BatchRun.open(given, out, captions, form=form, resume=resume, **options) as run:
        summary = Summary(
            shards=len(run.files), before=len(run.files) - len(run.todo), problems=run.problems
        )
        for done in run.shards(address, workers=workers):
            summary.captioned += done.captioned
            summary.failed += len(done.reasons)
    return summary


def caption_dataset(
    dataset: "Dataset",
    column: str = "image",
    *,
    model: str | None = None,
    workers: int | None = None,
    **options: Any,
) -> "Dataset":
    """Return a Ray data set with captions in place of a column of pictures.

    It is computed when it is read, as all of Ray Data's are. The column may hold bytes, paths,
    addresses, structs of `bytes` and `path`, or arrays (H, W, 3) of uint8. It is replaced by
    `image` (the path, where there is one), `caption`, `words`, `log_probs`, `sentinel`,
    `confidence`, `unsure`, `model` and `reason`, why there is no caption.

    >>> import ray
    >>> from cutline.batch import caption_dataset
    >>> photos = ray.data.read_images("photos")                 # doctest: +SKIP
    >>> caption_dataset(photos).write_parquet("captions")       # doctest: +SKIP

    Args:
        dataset: with a column of pictures.
        column: its name.
        model: as of `caption_paths`.
        workers: how many; by default as many as there are CPUs for.
        options: fields of `cutline.batch.Captions`.
    """
    from cutline.batch.workers import Captions, RowWorker

    captions = Captions(usable_model(model), **options)
    return in_a_pool(
        dataset,
        RowWorker,
        {"captions": captions, "column": column},
        threads=captions.threads,
        workers=workers or room(captions.threads),
        batch=4 * captions.batch_size,
        form="pyarrow",
    )
