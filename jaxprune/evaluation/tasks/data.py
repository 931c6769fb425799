"""Rows of a task, from files by language or hub data sets. Independent of templates."""

import csv
import dataclasses
import glob
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxprune.base.errors import InputError, listed, shown
from jaxprune.base.files.outside import parse_json, read_text
from jaxprune.base.files.places import local_path
from jaxprune.data.texts import hub_data_sets, hub_id

_SUFFIXES = (".jsonl", ".csv")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a data set.

    Attributes:
      number: index in the file or split, from 0.
      where: location for messages: file and line, or data set and row.
      fields: values by name.
    """

    number: int
    where: str
    fields: Mapping[str, Any]

    def value(self, name: str) -> Any:
        """The value of a field; InputError if the row has no such field."""
        if name not in self.fields:
            raise InputError(f"{self.where}: no field {name!r}; there are {listed(self.fields)}")
        return self.fields[name]

    def is_empty(self, name: str) -> bool:
        """Whether the field is None or only white space."""
        value = self.value(name)
        return value is None or (isinstance(value, str) and not value.strip())

    def text(self, name: str) -> str:
        """The value of a field, unchanged; InputError if it is not a text or empty."""
        value = self.value(name)
        if self.is_empty(name):
            raise InputError(f"{self.where}: {name} is empty; expected a text")
        if not isinstance(value, str):
            raise InputError(f"{self.where}: {name} is {shown(value)}; expected a text")
        return value


@dataclasses.dataclass(frozen=True)
class Source:
    """The location of rows; `{lang}` and `{split}` are placeholders for a language and the split.

    Attributes:
      data: a pattern of .jsonl or .csv files; a folder of `<lang>.jsonl` or `<lang>.csv`; a hub data
        set id, or a folder of parquet files with its layout.
      config: configuration of a hub data set.
      split: split of a hub data set, or the value of `{split}` in a pattern.
      revision: revision of a hub data set.
      files: pattern of the files of one language and split in a hub data set, instead of a
        configuration. The branch refs/convert/parquet has no configurations.
    """

    data: str
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    files: str | None = None

    @property
    def is_pattern(self) -> bool:
        """Whether `data` is a pattern of files."""
        return self.data.endswith(_SUFFIXES)

    @property
    def is_folder(self) -> bool:
        """Whether `data` is a folder of files."""
        folder = local_path(self.data)
        return folder.is_dir() and any(p.suffix in _SUFFIXES for p in folder.iterdir())

    @property
    def is_files(self) -> bool:
        """Whether rows are in one file per language, not in a hub data set."""
        return self.is_pattern or self.is_folder

    @property
    def by_language(self) -> bool:
        """Whether each language has its own rows."""
        if self.is_pattern:
            return "{lang}" in self.data
        places = filter(None, (self.data, self.config, self.files))
        return self.is_folder or any("{lang}" in text for text in places)

    def languages(self) -> list[str] | None:
        """The languages with files; None for a hub data set."""
        if not self.is_files:
            return None
        return [code for pattern in self._patterns() for code in _languages_of(pattern)]

    def missing(self, language: str) -> InputError:
        """The error for files without `language`, in words: those that there are, or what `data` must be."""
        available = self.languages()
        if not available:
            return InputError(
                f"data: {self.data} matches no file; expected a folder of <language>.jsonl or .csv, or a pattern of "
                "such files, as DATA/{lang}.jsonl"
            )
        return InputError(f"{self.data}: no {language}; there are {listed(sorted(available), ' ')}")

    def read(self, language: str) -> list[Row]:
        """All rows of a language, in order.

        Args:
          language: the value of `{lang}`.

        Raises:
          InputError: no such data or language (lists those available), no rows, an invalid row.
          OSError: the hub cannot be reached.
        """
        if self.is_files:
            path = self._file(language)
            reader = _jsonl if path.suffix == ".jsonl" else _csv
            rows = list(reader(path, read_text(path)))
        else:
            rows = self._hub(language)
        if not rows:
            raise InputError(f"{self.data}: language {language!r} has no rows")
        return rows

    def _fill(self, pattern: str, language: str) -> str:
        filled = pattern.replace("{lang}", language)
        if "{split}" in filled and self.split is None:
            raise InputError(f"{pattern}: {{split}} has no value; the task names no split")
        return filled.replace("{split}", self.split or "")

    def _patterns(self) -> list[str]:
        """The patterns of files, with only `{lang}` left as a placeholder."""
        if self.is_pattern:
            return [str(Path(self._fill(self.data, "{lang}")).expanduser())]
        folder = local_path(self.data)
        return [f"{folder}/{{lang}}{suffix}" for suffix in _SUFFIXES]

    def _file(self, language: str) -> Path:
        paths = [Path(pattern.replace("{lang}", language)) for pattern in self._patterns()]
        existing = [path for path in paths if path.exists()]
        if not existing:
            raise self.missing(f"language {language!r}")
        return existing[0]

    def _hub(self, language: str) -> list[Row]:
        name = self._fill(self.data, language)
        folder = local_path(name)
        if not folder.is_dir():
            hub_id(name, "data")
        elif not any(folder.rglob("*.parquet")):
            raise InputError(
                f"data: {name} contains neither <language>.jsonl, <language>.csv nor .parquet files"
            )
        if self.split is None:
            raise InputError(f'{name}: the task names no split; write such as split = "test"')
        options: dict[str, Any] = {"split": self.split, "revision": self.revision}
        if self.files is not None:
            options["data_files"] = {self.split: self._fill(self.files, language)}
        elif self.config is not None:
            options["name"] = self._fill(self.config, language)
        with hub_data_sets(name, "evaluation.tasks, evaluation.data") as datasets:
            table = datasets.load_dataset(name, **options)
        where = " ".join(filter(None, (name, options.get("name"), self.split)))
        return [Row(i, f"{where} row {i}", fields) for i, fields in enumerate(table)]


def _languages_of(pattern: str) -> list[str]:
    """The values of `{lang}` with existing files."""
    parts = pattern.split("{lang}")
    files = glob.glob("*".join(map(glob.escape, parts)))
    before, *after = map(re.escape, parts)
    name_pattern = before + "(?P<lang>[^/]+)" + "(?P=lang)".join(after)
    matches = (re.fullmatch(name_pattern, file) for file in files)
    return [match["lang"] for match in matches if match]


def _jsonl(path: Path, text: str) -> Iterator[Row]:
    # Not splitlines(): texts may contain U+2028 and the like.
    lines = text.removesuffix("\n").split("\n") if text else []
    for number, line in enumerate(lines):
        where = f"{path}:{number + 1}"
        fields = parse_json(line, where)
        if not isinstance(fields, dict):
            raise InputError(f"{where}: {line[:40]!r}; every line must be a JSON object")
        yield Row(number, where, fields)


def _csv(path: Path, text: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for number, fields in enumerate(reader):
            where = f"{path}:{reader.line_num}"  # the last line of a row with line breaks
            if None in fields or None in fields.values():
                raise InputError(f"{where}: more or fewer values than the header has")
            yield Row(number, where, fields)
    except csv.Error as error:
        raise InputError(
            f"{path}:{reader.reader.line_num}: {error}; expected comma-separated values"
        ) from None
