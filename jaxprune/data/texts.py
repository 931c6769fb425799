"""Folders, FLORES releases and hub data sets → sentences and code."""

import contextlib
import hashlib
import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.base.errors import InputError, listed
from jaxprune.base.files.outside import read_text
from jaxprune.base.files.places import local_path
from jaxprune.data.draws import lines_of_draw, numbers
from jaxprune.data.languages import LANGUAGES, language
from jaxprune.data.line_range import lines_of
from jaxprune.data.nano import NANO, NANO_LANGUAGES, text_place

# The column of sentences in FLORES+ and in FLORES-200.
_SENTENCE_COLUMNS = ("text", "sentence")
_CODE_COLUMN = "content"
_DATA, _CODE = "calibration.data", "calibration.code"
_HUB_ID = r"\w[\w.-]*/\w[\w.-]*"
# The languages of the paper's figures 1 and 3, used if the data has too many.
PAPER_LANGUAGES = ("en", "fr", "es", "zh", "hi", "sw")


def chosen_languages(codes: Sequence[str] | None, data: str | Path, target: str) -> list[str]:
    """The languages of `analysis.languages`, or of the data.

    Args:
      codes: language codes, or None.
      data: `calibration.data`. All languages of a folder of `<language>.txt` files or of "nano" are used;
        of releases, which have hundreds, only the paper's.
      target: the first language if `codes` is None.
    """
    if codes is not None:
        return list(codes)
    files = sorted(path.stem for path in local_path(text_place(data, "calibration")).glob("*.txt"))
    available = NANO_LANGUAGES if str(data) == NANO else files or PAPER_LANGUAGES
    return list(dict.fromkeys([target, *(code for code in available if code in LANGUAGES)]))


def aligned(
    data: str | Path, codes: Sequence[str], lines: str | None = None, draw: str | None = None,
    field: str = _DATA,
) -> list[Sequence[str]]:  # fmt: skip
    """Sentences of several languages; line i has the same meaning in all of them.

    Args:
      data, lines: as in `sentences`.
      draw: part of these lines, as 2/5; see `lines_of_draw`; by default all.
      field: name of the field with `data`, for messages.

    Raises:
      InputError: as `sentences`, or two languages differ in their number of lines.
    """
    texts = [_all_sentences(data, code, field) for code in codes]
    for code, text in zip(codes, texts, strict=True):
        if len(text) != len(texts[0]):
            raise InputError(
                f"{data}: {codes[0]} has {len(texts[0])} lines and {code} has {len(text)}; "
                "aligned texts must have equal numbers of lines"
            )
    chosen = np.array(lines_of(range(len(texts[0])), lines, "calibration.lines", data), dtype=int)
    if draw is not None:
        line_documents = documents(local_path(text_place(data, "calibration")), len(texts[0]))
        chosen = chosen[lines_of_draw([line_documents[line] for line in chosen], draw)]
    return [[text[line] for line in chosen] for text in texts]


def documents(folder: Path, lines: int) -> list[Any]:
    """The document of each of `lines` lines of the texts in a folder, by the column `document` of its `index.tsv`.

    Without an index, every ten lines are a document.

    Raises:
      InputError: an index with another number of lines.
    """
    file = folder / "index.tsv"
    text = read_text(file).removesuffix("\n") if file.is_file() else ""
    header, *rows = (line.split("\t") for line in text.split("\n"))
    if "document" not in header:
        return [line // 10 for line in range(lines)]
    if len(rows) != lines or any(len(row) != len(header) for row in rows):
        raise InputError(
            f"{file}: {len(rows)} lines under the header; expected {lines}, one for each line of the texts, with "
            f"{len(header)} columns"
        )
    return [row[header.index("document")] for row in rows]


def sentences(data: str | Path, code: str, lines: str | None = None) -> Sequence[str]:
    """The sentences of one language, in the order of the source, without surrounding white space.

    Args:
      data: a folder of `<code>.txt` with one sentence per line; a FLORES-200 release folder
        (`dev/fra_Latn.dev`); a hub data set id, or a local copy of one, with one configuration
        per language and a split `dev` (`openlanguagedata/flores_plus`; needs the extra
        `datasets`); or "nano", sentences that may be in the training text of the bundled models.
      code: ISO 639-1.
      lines: range of the sentences to use, from 0, as "0-299"; by default all.

    Raises:
      InputError: no such folder, data set or language (lists those available), a file that is not
        UTF-8 (names the byte), an empty line (names the line), or fewer lines than `lines` requires.
      OSError: the hub cannot be reached.
    """
    return lines_of(_all_sentences(data, code), lines, "calibration.lines", f"{data}: {code}")


def line_digests(lines: Iterable[str]) -> Iterator[str]:
    """16 hexadecimal digits of the SHA-256 of each line, without surrounding white space."""
    for line in lines:
        yield hashlib.sha256(line.strip().encode(errors="surrogatepass")).hexdigest()[:16]


def _all_sentences(data: str | Path, code: str, field: str = _DATA) -> list[str]:
    data = text_place(data, "calibration")
    folder = local_path(data)
    if not folder.is_dir():
        return _hub_sentences(hub_id(data, field), code, field)
    if any(folder.glob("*.txt")):
        return _read_lines(_pick_txt(folder, code))
    if (folder / "dev").is_dir() and any((folder / "dev").glob("*.dev")):
        return _read_lines(_pick_flores(folder, code))
    if any(folder.rglob("*.parquet")):
        return _hub_sentences(str(folder), code, field)
    raise InputError(
        f"{field}: {data} contains neither <language>.txt nor dev/<FLORES code>.dev files"
    )


def _pick_txt(folder: Path, code: str) -> Path:
    path = folder / f"{code}.txt"
    if not path.exists():
        raise _missing(folder, code, [file.stem for file in folder.glob("*.txt")])
    return path


def _pick_flores(folder: Path, code: str) -> Path:
    paths = [folder / "dev" / f"{name}.dev" for name in language(code).flores]
    for path in paths:
        if path.exists():
            return path
    raise _missing(folder, code, _codes([file.stem for file in (folder / "dev").glob("*.dev")]))


def _codes(flores: Sequence[str]) -> list[str]:
    """ISO codes of FLORES codes; codes outside the table are kept."""
    iso_codes = {name: entry.code for entry in LANGUAGES.values() for name in entry.flores}
    return [iso_codes.get(name, name) for name in flores]


def _missing(data: str | Path, code: str, available: Sequence[str]) -> InputError:
    return InputError(f"{data}: no language {code!r}; there are {listed(sorted(available), ' ')}")


def _read_lines(path: Path) -> list[str]:
    text = read_text(path)
    # Not splitlines(): sentences may contain U+2028 and the like.
    lines = [line.strip() for line in text.removesuffix("\n").split("\n")] if text else []
    for number, line in enumerate(lines, start=1):
        if not line:
            raise InputError(f"{path}:{number}: empty line; every line must be a sentence")
    return lines


def hub_id(name: str | Path, field: str) -> str:
    """The name, if it is a valid hub id and no file; otherwise an InputError that starts with `field`."""
    if Path(name).exists():
        raise InputError(f"{field}: {str(name)!r} is a file; expected a folder or a hub id")
    if not re.fullmatch(_HUB_ID, str(name)):
        raise InputError(f"{field}: no folder {str(name)!r}, and it is no hub id (owner/name)")
    return str(name)


@contextlib.contextmanager
def hub_data_sets(name: str, field: str) -> Iterator[Any]:
    """The library `datasets`; its errors on reading the data set `name`, the value of a field, become one line.

    Raises:
      InputError: it is not installed, or reports an error; a gated data set appears not to exist.
      ConnectionError: the hub cannot be reached.
    """
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise InputError(
            f"{field}: {name} is no folder; set another, or to read it from the hub: pip install datasets"
        ) from None
    try:
        yield datasets
    except (
        ConnectionError, FileNotFoundError, ValueError, RuntimeError, datasets.exceptions.DatasetsError
    ) as error:  # fmt: skip
        message = " ".join(str(error).split())
        if isinstance(error, ConnectionError):
            unreachable = "no such folder, and the hub cannot be reached"
            raise ConnectionError(f"{field}: {name}: {unreachable}: {message}") from error
        terms = " (if it is gated: accept its terms and `hf auth login`)"
        raise InputError(
            f"{field}: {name}: {message}{'' if Path(name).exists() else terms}"
        ) from error


def _hub_sentences(name: str, code: str, field: str) -> list[str]:
    with hub_data_sets(name, field) as datasets:
        configurations = datasets.get_dataset_config_names(name)
        # FLORES+ renamed some languages: its code is the last one of the table.
        spellings = [*reversed(language(code).flores), code]
        chosen = next((spelling for spelling in spellings if spelling in configurations), None)
        rows = datasets.load_dataset(name, chosen, split="dev") if chosen else None
    if rows is None:
        raise _missing(name, code, _codes(configurations))
    column = next((column for column in _SENTENCE_COLUMNS if column in rows.column_names), None)
    if column is None:
        raise InputError(
            f"{name}: columns {' '.join(rows.column_names)}; expected text or sentence"
        )
    lines = [str(line).strip() for line in rows[column]]
    for number, line in enumerate(lines):
        if not line:
            raise InputError(f"{name}: {chosen} row {number} is empty")
    return lines


def code_samples(source: str | Path, samples: int, seed: int, draw: str | None = None) -> list[str]:
    """Complete Python source files, chosen by a seeded permutation.

    Args:
      source: a folder, searched recursively for `*.py` and sorted by path, or a hub data set id
        with a split `train` and a column `content` (`thomwolf/github-python`). Files that are
        blank or not UTF-8 are skipped.
      draw: part of the files; 2/5 takes every fifth file of the permutation, from the second; by default all.

    Raises:
      InputError: no such folder or data set, or too few files (reports how many).
    """
    folder = local_path(source)
    if folder.is_dir():
        files = sorted(path for path in folder.rglob("*.py") if path.is_file())
        count, read = len(files), lambda index: _decode(files[index].read_bytes())
    else:
        rows = _hub_code(hub_id(source, _CODE))
        count, read = len(rows), lambda index: str(rows[int(index)][_CODE_COLUMN])
    own, draws = (0, 1) if draw is None else numbers(draw)
    chosen: list[str] = []
    for index in np.random.default_rng(seed).permutation(count)[own::draws]:
        if len(chosen) == samples:
            break
        text = read(index)
        if text.strip():
            chosen.append(text)
    if len(chosen) < samples:
        raise InputError(
            f"{source}: contains {count} Python files, {len(chosen)} of them in UTF-8 and not "
            f"blank{f', in draw {draw}' if draw else ''}; calibration.samples is {samples}"
        )
    return chosen


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _hub_code(name: str) -> Any:
    with hub_data_sets(name, _CODE) as datasets:
        rows = datasets.load_dataset(name, split="train")
    if _CODE_COLUMN not in rows.column_names:
        raise InputError(f"{name}: columns {' '.join(rows.column_names)}; expected {_CODE_COLUMN}")
    return rows
