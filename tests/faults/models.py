"""Rows of the table of faults: the model's folder."""

from faults.fault import Fault, both


def broken(says, make):
    """A model that cannot be opened."""
    return Fault(lambda p: p.prune(model=make(p)), says)


ROWS = {
    "no such model": broken(r"no/such/model: ", lambda p: "no/such/model"),
    "no network": Fault(
        lambda p: p.prune(model="jaxprune-tests/is-in-no-cache"),
        r"jaxprune-tests/is-in-no-cache: .*hub cannot be reached", 1,
    ),
    "revision of a folder": Fault(
        lambda p: p.prune("revision=v1"), r"revision: got 'v1'; expected none, as .* is a folder"
    ),
    "empty folder": broken(r"workdir: no config\.json", lambda p: both(p.workdir.mkdir(), p.workdir)),
    "code of others": broken(r"config\.json: auto_map", lambda p: p.model(auto_map={"AutoModel": "x.X"})),
    "a billion layers": broken(r"model: .*1000000000 layers", lambda p: p.model(n_layer=10**9)),
    "pickle that calls os.system": broken(
        r"pytorch_model\.bin.*names '(posix|nt)\.system'", lambda p: p.with_attack()
    ),
}  # fmt: skip
