"""Writing `features.p` and `features.json`: what is done already, what is added, how it ends.

A run can be stopped at any moment and continued by the same command:
- while it encodes, each batch goes to the log (`extraction_log`), which says why it is safe;
- a photo counts as done only while its stamp (size, time of change, SHA-256) is the one that was
  taken before it was decoded, so that a photo exchanged between two runs is encoded again;
- at the end two files take the place of the old ones by two renames. Both are complete and
  checked in `features.partial` before. A kill between the renames leaves the new `features.p`
  beside the old `features.json`; the digest in the new `features.json`, still in
  `features.partial`, shows that they belong together, and the next run does the second rename.
"""

from pathlib import Path
from typing import Any

import numpy as np

from captioning.errors import CaptioningError
from captioning.files.pickles import write_pickle
from captioning.files.text import read_json, write_json
from captioning.vision.extraction_log import ExtractionLog, LoggedBatch
from captioning.vision.features import Features, checked_description, read_features
from captioning.vision.packed import Photo
from captioning.vision.sharded_features import is_sharded
from captioning.vision.stamps import Stamp, digest_of_file, size_and_time, stamp_of


def write_features(folder: Path, vectors: dict[str, np.ndarray], made_by: dict[str, Any]) -> None:
    """Write `features.p` and `features.json` for vectors that are there: {name: float32 (1, D)}.

    made_by: the signature of their encoder. They have no stamps: which photos they are of is only
    told by the names. Raises `CaptioningError` when the disk refuses.
    """
    # An old description would vouch for the new vectors if the run were killed between the two.
    (folder / "features.json").unlink(missing_ok=True)
    write_pickle(folder / "features.p", vectors)
    description = {
        "made_by": made_by,
        "photos": len(vectors),
        "digest": digest_of_file(folder / "features.p"),
        "failed": {},
        "grids": None,
        "rows": {},
        "stamps": {},
    }
    write_json(folder / "features.json", description)


class FeatureWriter:
    """Collects the vectors (and grids) of a folder of photos; a killed run loses one batch at most.

    folder: where the files go; signature: of the encoder; views: of how many views of a photo
    the grid is kept, 0 for vectors alone. What an earlier run with the same signature wrote,
    finished or not, counts as done as long as the photo's stamp is the same.

    done: {file name: float32 (1, D)}; stamps: {file name: `Stamp`} of these; failed: {file name:
    reason} of the photos that could not be read. Raises `CaptioningError` when nothing can be
    written there.
    """

    def __init__(self, folder: Path, signature: dict[str, Any], views: int = 0) -> None:
        self._folder = Path(folder)
        self._made_by, self._views = signature, views
        self._log = ExtractionLog(self._folder, signature, views)
        self.done: dict[str, np.ndarray] = {}
        self.stamps: dict[str, Stamp] = {}
        self.failed: dict[str, str] = {}
        self._failed_stamps: dict[str, Stamp] = {}
        self._rows: dict[str, list[int]] = {}
        try:
            # The order matters: a rename that is still due makes the finished features readable,
            # and what the log holds is newer than they are.
            self._complete_renames()
            self._take_finished()
            for batch in self._log.read():
                self._take(batch)
            self._log.open(1 + max((max(rows) for rows in self._rows.values()), default=-1))
        except OSError as error:
            raise CaptioningError(f"cannot write to {folder}: {error.strerror}") from None

    def _complete_renames(self) -> None:
        """Do the second rename for a run that was killed between the two at its end."""
        new, vectors = self._log.folder / "features.json", self._folder / "features.p"
        try:
            description = checked_description(
                read_json(new, "the new description"), self._log.folder
            )
            fits = description["digest"] == digest_of_file(vectors)
        except (CaptioningError, OSError):
            return
        # It does not fit where the kill came before the first rename: the old pair is whole.
        if fits:
            new.replace(self._folder / "features.json")

    def _take_finished(self) -> None:
        """Take over finished features of the same encoder, with grids only when all are there."""
        if is_sharded(self._folder):
            return
        try:
            old = read_features(self._folder)
        except CaptioningError:
            return  # none, or damaged: every photo is encoded again
        complete = all(len(old.rows.get(name, ())) == self._views for name in old.vectors)
        if old.made_by == self._made_by and (complete or not self._views):
            self.done, self.stamps = dict(old.vectors), old.stamps
            self._rows = old.rows if self._views else {}

    def _take(self, batch: LoggedBatch) -> None:
        """Count the photos of a batch as done, or failed; the latest batch of a photo counts."""
        for place, name in enumerate(batch.names):
            self.done[name] = batch.vectors[place : place + 1]  # (1, D)
            self.stamps[name] = batch.stamps[place]
            # It failed in an earlier run, and could be read since.
            self.failed.pop(name, None)
            self._failed_stamps.pop(name, None)
            if batch.rows:
                self._rows[name] = batch.rows[place]
        for name, (stamp, reason) in batch.failed.items():
            self.failed[name], self._failed_stamps[name] = reason, stamp

    def is_done(self, name: str, path: Photo) -> bool:
        """Whether that photo, as it is now, has its vector already, or has failed in this run.

        Size and time of change are compared first; the content is read only where the size is
        the same and the time is not, for a digest of 8,000 photos takes its time.
        """
        failed = self._failed_stamps.pop(name, None)
        if failed is not None:
            if stamp_of(path) == failed:
                return True
            del self.failed[name]
        old = self.stamps.get(name)
        if name not in self.done or not old:
            return False
        now = size_and_time(path)
        if old[:2] == now:
            return True
        # Stamps of early versions have no digest: then another time means another photo.
        if old[0] != now[0] or len(old) < 3 or stamp_of(path)[2] != old[2]:
            return False
        self.stamps[name] = [*now, old[2]]  # touched or copied, but the same photo
        return True

    def add(
        self,
        names: list[str],
        stamps: list[Stamp],
        vectors: np.ndarray,
        grids: np.ndarray | None = None,
        failed: dict[str, tuple[Stamp, str]] | None = None,
    ) -> None:
        """Write the vectors (photos, D) and grids (photos, views, regions, D) of a batch at once.

        failed: {file name: (stamp, reason)} of photos that could not be read. Raises
        `CaptioningError` when the disk is full; what was written before stays.
        """
        self._take(self._log.append(names, stamps, vectors, grids, failed or {}))

    def finish(self, names: list[str]) -> Features:
        """Write `features.p` and `features.json` for these photos and remove the log.

        Raises `CaptioningError` when the disk refuses; a later run does the rest without
        encoding a photo again.
        """
        self.close()
        features = self._features_of(names)
        self._write_aside(features)
        try:
            for name in ("features.p", "features.json"):
                (self._log.folder / name).replace(self._folder / name)
        except OSError as error:
            raise CaptioningError(f"cannot write to {self._folder}: {error.strerror}") from None
        # Only now: until the renames the old features were the valid ones, with their grids.
        for file in self._folder.glob("grids-*.f16"):
            if not self._views or file != self._log.grids_file:
                file.unlink()
        self._log.remove()
        return features

    def _features_of(self, names: list[str]) -> Features:
        """What is known of these photos; without the grids, which are in their file already."""
        wanted = set(names)
        kept = [name for name in names if name in self.done and name not in self.failed]
        return Features(
            vectors={name: np.array(self.done[name]) for name in kept},
            made_by=self._made_by,
            failed={name: reason for name, reason in self.failed.items() if name in wanted},
            stamps={name: self.stamps[name] for name in kept},
            rows={name: self._rows[name] for name in kept if name in self._rows},
        )

    def _write_aside(self, features: Features) -> None:
        """Write both files into the folder of the log, the vectors first, for their digest."""
        vectors_file = self._log.folder / "features.p"
        write_pickle(vectors_file, features.vectors)
        description = {
            "made_by": features.made_by,
            "photos": len(features.vectors),
            "digest": digest_of_file(vectors_file),
            "failed": features.failed,
            "grids": self._log.grids_file.name if self._views else None,
            "rows": features.rows,
            "stamps": features.stamps,
        }
        write_json(self._log.folder / "features.json", description)

    def close(self) -> None:
        """Close the files; what was added stays for the next run."""
        self._log.close()
