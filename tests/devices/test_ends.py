"""Two processes end within seconds whatever happens to one of them, each with one line while Python is in control."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from device_jobs import environment
from ports import free_port

from jaxprune import process

# Joins, says so, and meets the other process until it ends.
PROGRAM = """
import sys, time
from jaxprune.devices import failure, hosts
from jaxprune.process import errors_in_one_line

# In place of 0.5, 8 and 5 seconds: the tests need not wait.
failure._POLL, failure._SILENCE, failure._PATIENCE = 0.1, 2.0, float(sys.argv.pop())

def main(coordinator, process):
    def join():
        print("joining", flush=True)
        hosts.join(coordinator, 2, int(process))

    failure.joined(join)
    failure.listen()
    print("joined", flush=True)
    while True:
        hosts.any_of(False)
        time.sleep(0.01)

with errors_in_one_line(), failure.together():
    main(*sys.argv[1:])
"""


def started(*numbers, port=None, patience=1.0, program=PROGRAM):
    coordinator = f"127.0.0.1:{port or free_port()}"
    command = [sys.executable, "-c", program, coordinator]
    pipe = subprocess.PIPE
    return [
        subprocess.Popen(
            [*command, str(i), str(patience)],
            env=environment(1),
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        for i in numbers
    ]


def wait_for(line, processes):
    for one in processes:
        assert line in iter(lambda: one.stdout.readline().strip(), "")  # noqa: B023


def ends(processes):
    """(exit code, lines) of each, which end within 15 s."""
    outputs = [one.communicate(timeout=15) for one in processes]
    codes = [one.returncode for one in processes]
    return list(zip(codes, [said.splitlines() for _, said in outputs], strict=True))


def test_a_signal_to_one_ends_both():
    processes, number = started(0, 1), signal.SIGTERM
    wait_for("joined", processes)
    processes[1].send_signal(number)
    (code, told), (own_code, said) = ends(processes)
    assert code == own_code == 128 + number
    assert said == [f"error: ended by {number.name}"]
    assert told == [f"error: process 1: ended by {number.name}"]


@pytest.mark.parametrize("killed", [0, 1])
def test_one_that_is_killed_ends_the_other(killed):
    processes = started(0, 1)
    wait_for("joined", processes)
    processes[killed].kill()
    code, said = ends(processes)[1 - killed]
    assert code != 0
    if killed == 1:  # without its coordinator JAX ends a process itself
        assert len(said) == 1
        assert re.match(r"error: (another process|process 1) is gone", said[0])


# A round of process 1 makes two requests to process 0: either of them may be the first to remain unanswered.
SECOND_REQUEST = PROGRAM.replace(
    "failure.joined(join)",
    "failure.joined(join)\n    if process == '1':\n        failure._Peers.check = lambda *_: None",
)


@pytest.mark.parametrize("program", [PROGRAM, SECOND_REQUEST], ids=["first", "second"])
def test_a_coordinator_that_is_stopped_ends_the_other(program):
    processes = started(0, 1, program=program)
    wait_for("joined", processes)
    processes[0].send_signal(signal.SIGSTOP)
    try:
        [(code, said)] = ends(processes[1:])
    finally:
        processes[0].send_signal(signal.SIGCONT)
    assert (code, said) == (1, ["error: process 0 is gone"])
    (code, said) = ends(processes[:1])[0]
    assert code != 0


# Process 1 has nothing more to do, and waits for process 0 to disconnect.
DONE = PROGRAM.replace("while True:", "while process == '0':")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_one_that_is_done_ends_with_the_reason_of_the_other(number):
    processes = started(0, 1, program=DONE.replace("hosts.any_of(False)", "pass"))
    wait_for("joined", processes)
    time.sleep(0.5)  # process 1 disconnects
    processes[0].send_signal(number)
    (code, _), (other_code, said) = ends(processes)
    if number == signal.SIGINT:
        assert code == other_code == 130
        assert said == ["error: process 0: ended by SIGINT"]
    else:  # without its coordinator JAX may end the process itself
        assert other_code != 0


def test_a_signal_before_all_have_joined():
    [alone] = started(1)
    wait_for("joining", [alone])
    assert alone.poll() is None  # waits for process 0, which never comes
    alone.send_signal(signal.SIGINT)
    [(code, said)] = ends([alone])
    assert code == 130
    assert said == ["error: ended by SIGINT before all processes had joined"]


def test_a_process_that_waits_says_once_for_whom():
    quick = PROGRAM.replace("failure._POLL,", "failure._QUIET = 0.3; failure._POLL,")
    port = free_port()
    alone = [*started(0, program=quick), *started(1, port=port, program=quick)]
    wait_for("joining", alone)
    time.sleep(1.0)
    for one in alone:
        one.kill()
    assert [said for _, said in ends(alone)] == [
        ["process 0 of 2 has joined and waits for the others"],
        [f"process 1: waits for process 0 at 127.0.0.1:{port}"],
    ]


def test_a_signal_before_another_has_come_is_told_to_it():
    port = free_port()
    [first] = started(0, port=port, patience=12.0)
    wait_for("joining", [first])
    first.send_signal(signal.SIGHUP)
    (code, said), (other_code, told) = ends([first, *started(1, port=port)])
    assert code == other_code == 128 + signal.SIGHUP
    assert said == ["error: ended by SIGHUP"]
    assert told == ["error: process 0: ended by SIGHUP"]


def test_a_coordinator_that_is_gone_before_all_have_joined():
    with socket.create_server(("127.0.0.1", 0)) as place:
        [alone] = started(1, port=place.getsockname()[1])
        wait_for("joining", [alone])
        for _ in range(2):  # JAX, and who looks whether it is there
            place.accept()[0].close()
    [(code, said)] = ends([alone])
    assert code == 1
    assert said == ["error: process 0 is gone before all processes had joined"]


def test_after_sigint_nobody_waits_for_threads_of_libraries(monkeypatch, capfd):
    class LeftError(Exception):
        pass

    def leave(code):
        raise LeftError(code)

    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(LeftError, match="130"), process.errors_in_one_line():
        raise KeyboardInterrupt
    assert capfd.readouterr().err == "error: ended by SIGINT\n"
