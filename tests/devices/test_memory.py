"""What memory there is: against files as Linux writes them, and the least of all processes."""

import pytest

from jaxprune.devices import hosts
from jaxprune.devices.memory import available_memory, room
from jaxprune.devices.sharding import device_mesh

GIB = 1 << 30


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


MEMINFO = {"proc/meminfo": f"MemTotal: 99 kB\nMemAvailable:   {8 * GIB // 1024} kB\n"}
V2 = {
    "proc/self/cgroup": "0::/user.slice/job\n",
    "sys/fs/cgroup/user.slice/memory.max": f"{5 * GIB}\n",
    "sys/fs/cgroup/user.slice/memory.current": f"{2 * GIB}\n",
    "sys/fs/cgroup/user.slice/memory.stat": f"anon 7\ninactive_file {GIB}\n",
    "sys/fs/cgroup/user.slice/job/memory.max": "max\n",
    "sys/fs/cgroup/user.slice/job/memory.current": f"{GIB}\n",
}
V1 = {
    "proc/self/cgroup": "5:cpu:/a\n4:memory:/docker/1\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{3 * GIB}\n",  # the container's own
    "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
    "sys/fs/cgroup/memory/memory.stat": f"inactive_file 5\ntotal_inactive_file {GIB // 2}\n",
}
NO_LIMIT = V1 | {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, None),
        (MEMINFO, 8 * GIB),
        (MEMINFO | V2, 4 * GIB),
        (MEMINFO | V1, 2 * GIB + GIB // 2),
        (MEMINFO | NO_LIMIT, 8 * GIB),
    ],
)
def test_the_least_that_the_system_tells(files, left, tmp_path):
    write(tmp_path, files)
    assert available_memory(tmp_path) == left


def test_all_processes_see_the_least(monkeypatch):
    monkeypatch.setattr(hosts, "gather_json", lambda mine: [mine, [None, 5], [7, None]])
    assert room(device_mesh(1)) == (7, 5)
