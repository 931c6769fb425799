import io
import os
import pickle
import tarfile
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jaxprune.base.errors import InputError
from jaxprune.hf.tensor_index import find_tensors
from jaxprune.hf.torch_bin import read_header

NAME = "pytorch_model.bin"


def opened(folder, value, **options):
    torch.save(value, folder / NAME, **options)
    return find_tensors(folder)


def numpy_of(tensor):
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def assert_same(files, tensors):
    assert list(files) == list(tensors)
    for name, tensor in tensors.items():
        expected = numpy_of(tensor)
        array = files[name].read()
        assert (array.dtype, array.shape) == (expected.dtype, expected.shape), name
        assert array.tobytes() == expected.tobytes(), name
        assert array.flags.writeable
        assert array.flags.c_contiguous


@pytest.fixture(scope="module")
def tensors():
    torch.manual_seed(0)
    base = torch.randn(6, 5, 4)
    return {
        "contiguous": base,
        "slice": base[2:4],
        "transposed": base.permute(2, 0, 1),
        "columns": base[:, :, 1:3],
        "every second": base[::2],
        "parameter": torch.nn.Parameter(torch.randn(3, 2)),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "one row": torch.arange(4).expand(1, -1),
        "half": torch.randn(5).half(),
        "bfloat": torch.randn(5, 3).bfloat16(),
        "double": torch.randn(2).double(),
        **{
            str(dtype): torch.tensor([0, 1, 100]).to(dtype)
            for dtype in (torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
        },
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_reads_what_torch_saved(tmp_path, tensors, protocol):
    assert_same(opened(tmp_path, tensors, pickle_protocol=protocol), tensors)


def test_state_dict_with_metadata_and_shared_weights(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(3, 4))
    model[2].weight = model[0].weight
    state = model.state_dict()
    assert state._metadata
    files = opened(tmp_path, state)
    assert_same(files, state)
    assert files["0.weight"].offset == files["2.weight"].offset


def test_rows_and_chunks_of_any_layout(tmp_path, tensors):
    files = opened(tmp_path, tensors)
    for name in ("contiguous", "slice", "transposed", "columns", "bfloat"):
        indices = np.array([1, 0, 1])
        np.testing.assert_array_equal(files[name].rows(indices), files[name].read()[indices])
        flat = np.concatenate(list(files[name].chunks()))
        np.testing.assert_array_equal(flat, files[name].read().reshape(-1))


def test_opening_reads_no_storage(tmp_path):
    torch.save({"a": torch.zeros(4 << 20)}, tmp_path / NAME)
    read_header(tmp_path / NAME)  # imports are paid for
    tracemalloc.start()
    read_header(tmp_path / NAME)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


class Attack:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def repack(folder, content, name="data.pkl", compression=zipfile.ZIP_STORED, source=None):
    """A torch file with one entry put in place of its own."""
    buffer = io.BytesIO()
    torch.save(source or {"a": torch.zeros(3)}, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(folder / NAME, "w", compression) as new:
        for entry in old.namelist():
            if entry != f"archive/{name}":
                new.writestr(entry, old.read(entry))
        if content is not None:
            new.writestr(f"archive/{name}", content)
    return folder / NAME


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_calls_os_system_is_refused_and_runs_nothing(tmp_path, protocol):
    marker = tmp_path / "marker"
    attack = {"a": Attack(os.system, f"touch {marker}")}
    path = repack(tmp_path, pickle.dumps(attack, protocol=protocol))
    with pytest.raises(InputError, match=r"names .(posix|nt)\.system.*refused"):
        read_header(path)
    assert not marker.exists()
    # The very file does harm where it is unpickled: the test above could have failed.
    with zipfile.ZipFile(path) as archive:
        pickle.loads(archive.read("archive/data.pkl"))
    assert marker.exists()


def call(module, name, arguments):
    """A pickle of protocol 4 that looks a name up by STACK_GLOBAL and calls it."""
    texts = b"".join(pickle.dumps(text, 4)[11:-2] for text in (module, name))
    return b"\x80\x04" + texts + b"\x93" + pickle.dumps(arguments, 4)[2:-1] + b"R."


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("builtins", "eval", "open({!r}, 'w')"),
        ("os", "mkdir", "{}"),
        ("copyreg", "_reconstructor", "{}"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__", "{}"),
        ("torch.storage", "_load_from_bytes", "{}"),
        ("collections", "OrderedDict.fromkeys", "{}"),
    ],
)
def test_other_names_are_refused_and_nothing_is_run(tmp_path, module, name, arguments):
    marker = tmp_path / "marker"
    attack = call(module, name, (arguments.format(str(marker)),))
    inside = b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00a" + attack[2:-1] + b"u."
    for content in (attack, inside):
        with pytest.raises(InputError, match=f"the pickle names '{module}.{name}', .*refused"):
            read_header(repack(tmp_path, content))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (b"cbuiltins\neval\n(V1+1\ntR.", "names 'builtins.eval'"),
        (b"(ios\nsystem\n.", "names 'os.system'"),
        (b"ccollections\nOrderedDict\n(cos\nsystem\ntR.", "names 'os.system'"),
        (b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aNsb.", "damaged .*TypeError"),
        (b"ctorch\nFloatStorage\n}X\x01\x00\x00\x00aNsb.", "damaged .*AttributeError"),
        (b"ctorch\nFloatStorage\n)\x81.", "damaged .*NEWOBJ"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n.", "expected a dict of tensors, got function"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR.", "expected a dict of tensors, got _View"),
        (b"}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n(NK\x00))tRs.", "'a': no storage"),
        (b"\x82\x01.", "damaged .*unregistered extension code"),
        (b"\x80\x02ctorch\nFloatStorage\n.", "expected a dict of tensors, got str"),
        (b"\x80\x02}(K\x01K\x02u.", "1 is of type int; expected a dict of tensors"),
        (b"\x80\x02}X\x01\x00\x00\x00aK\x02s.", "'a' is of type int; expected a dict of tensors"),
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "damaged .*a persistent id that is no storage"),
    ],
)
def test_pickles_that_are_no_state_dict(tmp_path, pickled, message):
    path = repack(tmp_path, pickled)
    with pytest.raises(InputError, match=message) as error:
        read_header(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_pickle_that_sets_attributes_changes_nothing_for_the_next(tmp_path):
    """BUILD with two states sets attributes, here the defaults of what stands for torch's function."""
    defaults = pickle.dumps({"__defaults__": (1, 2, 3, 4), "__kwdefaults__": {}}, 2)[2:-1]
    found = b"ctorch._utils\n_rebuild_tensor_v2\n"
    with pytest.raises(InputError, match="expected a dict of tensors, got function"):
        read_header(repack(tmp_path, b"\x80\x02" + found + b"N" + defaults + b"\x86b."))
    with pytest.raises(InputError, match="damaged"):
        read_header(repack(tmp_path, b"\x80\x02" + found + b")R."))
    path = repack(tmp_path, tensor_pickle())
    assert read_header(path)["a"].read().tolist() == [0, 0, 0]


def tensor_pickle(shape=(3,), strides=(1,), offset=0, count=3, key="0"):
    """What torch.save writes for {"a": tensor}, with any numbers."""

    class Storage:
        pass

    class Pickler(pickle._Pickler):
        def persistent_id(self, value):
            return ("storage", torch.FloatStorage, key, "cpu", count) if value is storage else None

    storage, buffer = Storage(), io.BytesIO()
    arguments = (storage, offset, shape, strides, False, {})
    Pickler(buffer, 2).dump({"a": Attack(torch._utils._rebuild_tensor_v2, *arguments)})
    return buffer.getvalue()


def test_the_handmade_pickle_is_as_torchs(tmp_path):
    path = repack(tmp_path, tensor_pickle())
    assert read_header(path)["a"].shape == tuple(torch.load(path)["a"].shape) == (3,)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"count": 4}, "storage '0' has 12 bytes, 16 expected"),
        ({"key": "../0"}, r"storage '\.\./0' is not in the file"),
        ({"shape": (4,)}, "does not fit its storage of 3"),
        ({"strides": (2,)}, "does not fit its storage of 3"),
        ({"shape": (2**33, 2**33), "strides": (0, 0)}, "does not fit its storage of 3"),
        ({"shape": (-3,)}, "shape, strides and offset must be"),
        ({"shape": (1.5,)}, "shape, strides and offset must be"),
        ({"strides": (-1,)}, "strides and offset must be"),
        ({"strides": (1, 1)}, "no stride for each axis"),
        ({"offset": -1}, "strides and offset must be"),
        ({"count": -1}, "does not fit its storage of -1"),
        ({"count": 2**600}, "bytes, .* expected"),
        ({"offset": "0"}, "strides and offset must be"),
        ({"key": 0}, "no storage"),
    ],
)
def test_numbers_that_do_not_fit(tmp_path, numbers, message):
    path = repack(tmp_path, tensor_pickle(**numbers))
    with pytest.raises(InputError, match=message) as error:
        read_header(path)
    assert str(error.value).startswith(str(path))


def test_compressed_encrypted_and_missing_entries(tmp_path):
    with pytest.raises(InputError, match="tensor 'a': its storage is compressed or encrypted"):
        read_header(repack(tmp_path, bytes(12), "data/0", compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(InputError, match="this has 0"):
        read_header(repack(tmp_path, None))
    with pytest.raises(InputError, match="not little-endian"):
        read_header(repack(tmp_path, b"big", name="byteorder"))
    path = repack(tmp_path, tensor_pickle())
    whole = bytearray(path.read_bytes())
    at = whole.index(b"PK\x01\x02", whole.index(b"PK\x01\x02") + 4)
    while b"data/0" not in whole[at : at + 70]:
        at = whole.index(b"PK\x01\x02", at + 4)
    whole[at + 8] |= 1  # the flag of an encrypted entry
    path.write_bytes(whole)
    with pytest.raises(InputError, match="encrypted"):
        read_header(path)


def test_old_formats_say_how_to_convert(tmp_path):
    with pytest.raises(InputError, match=r"not a torch file of version 1\.6.*torch\.save"):
        opened(tmp_path, {"a": torch.zeros(3)}, _use_new_zipfile_serialization=False)
    with tarfile.open(tmp_path / NAME, "w") as archive:
        archive.add(__file__, "storages")
    with pytest.raises(InputError, match="not a torch file of version"):
        read_header(tmp_path / NAME)


@pytest.mark.parametrize("value", [[torch.zeros(2)], torch.zeros(2), {"a": 1}, {"a": {"b": None}}])
def test_other_things_that_torch_saves(tmp_path, value):
    with pytest.raises(InputError, match="dict of tensors"):
        opened(tmp_path, value)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("bin") / NAME
    torch.save({"a": torch.arange(6.0).reshape(2, 3).t(), "b": torch.zeros(2).bfloat16()}, path)
    return path, path.read_bytes()


def sound(path):
    """Either an InputError on opening, or every tensor can be read."""
    try:
        files = find_tensors(path.parent)
    except InputError as error:
        message = str(error)
    else:
        for name in files:
            assert files[name].read().shape == files[name].shape
        return True
    assert message.startswith(str(path))
    assert "\n" not in message
    return False


def test_every_truncation_is_refused(small):
    path, data = small
    for length in range(len(data)):
        path.write_bytes(data[:length])
        assert not sound(path), length
    path.write_bytes(data)
    assert sound(path)


@given(st.data())
def test_flipped_bytes(small, data):
    path, original = small
    changed = bytearray(original)
    places = [i for i, byte in enumerate(original) if byte and byte != ord("Z")]  # no padding
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.sampled_from(places))] = data.draw(st.integers(0, 255))
    path.write_bytes(changed)
    sound(path)


OPCODES = st.sampled_from(
    [bytes([code]) for code in b"}])(N\x88tuseabRQ.\x85\x86\x87\x94\x93\x81012"]
    + [b"q\x00", b"h\x00", b"r\xff\xff\xff\xff", b"K\x02", b"J\xff\xff\xff\xff"]
    + [b"X\x01\x00\x00\x00a", b"X\x07\x00\x00\x00storage", b"cos\nsystem\n"]
    + [b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n"]
    + [b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n"]
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("pickles")


@given(st.lists(OPCODES, max_size=25))
def test_any_order_of_opcodes(place, opcodes):
    repack(place, b"".join(opcodes) + b".")
    sound(place / NAME)
