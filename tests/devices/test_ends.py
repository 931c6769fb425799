"""Two processes end within seconds whatever happens to one of them, each with one line while Python is in control."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from device_jobs import environment
from ports import free_port

from jaxprune.base.ending import errors_in_one_line

# Joins, says so, and meets the other process until it ends; process 1 fails when it is told.
PROGRAM = """
import sys, time
from jaxprune.devices import failure, hosts
from jaxprune.base.ending import errors_in_one_line

failure._POLL, hosts._HEARTBEAT = 0.2, 3  # seconds; test_hosts.py has processes with those of users

def main(coordinator, process, fault):
    print("joining", flush=True)
    with failure.listening():
        hosts.join(coordinator, 2, int(process))
    hosts.any_of(False)
    print("joined", flush=True)
    if fault != "none" and process == "1":
        raise eval(fault)
    while True:
        hosts.any_of(False)
        time.sleep(0.01)

with errors_in_one_line(), failure.together():
    main(*sys.argv[1:])
"""


def started(*numbers, port=None, fault="none", program=PROGRAM):
    coordinator, pipe = f"127.0.0.1:{port or free_port()}", subprocess.PIPE
    return [
        subprocess.Popen(
            [sys.executable, "-c", program, coordinator, str(number), fault],
            env=environment(1), stdout=pipe, stderr=pipe, text=True,
        )
        for number in numbers
    ]  # fmt: skip


def wait_for(line, processes):
    for one in processes:
        assert line in iter(lambda: one.stdout.readline().strip(), "")  # noqa: B023


def ends(processes):
    """(exit code, lines) of each, which end within 30 s."""
    outputs = [one.communicate(timeout=30) for one in processes]
    codes = [one.returncode for one in processes]
    return list(zip(codes, [said.splitlines() for _, said in outputs], strict=True))


@pytest.mark.parametrize("signalled", [0, 1])
def test_a_signal_to_one_ends_both(signalled):
    processes, number = started(0, 1), signal.SIGTERM
    wait_for("joined", processes)
    processes[signalled].send_signal(number)
    outcomes = ends(processes)
    assert [code for code, _ in outcomes] == [128 + number] * 2
    assert outcomes[signalled][1] == [f"error: ended by {number.name}"]
    assert outcomes[1 - signalled][1] == [f"error: process {signalled}: ended by {number.name}"]


@pytest.mark.parametrize(
    ("number", "victim"), [(signal.SIGKILL, 0), (signal.SIGKILL, 1), (signal.SIGSTOP, 1)]
)
def test_one_that_is_killed_or_stopped_ends_the_other(number, victim):
    processes = started(0, 1)
    wait_for("joined", processes)
    processes[victim].send_signal(number)
    try:
        [(code, said)] = ends([processes[1 - victim]])
    finally:
        processes[victim].kill()
        processes[victim].communicate()
    if number == signal.SIGKILL and victim == 1:
        assert code == 1
        [line] = said
        assert re.match(r"error: (another process|process 1) is gone", line)
    else:  # JAX ends the process itself
        assert code == -signal.SIGABRT
        assert "another task died" in "\n".join(said)


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("OSError(28, 'No space left')", 1, "[Errno 28] No space left"),
        ("ZeroDivisionError('a bug')", 1, "ZeroDivisionError: a bug"),
    ],
)
def test_the_exception_of_one_ends_both_with_its_reason(fault, code, reason):
    (told_code, told), (own_code, said) = ends(started(0, 1, fault=fault))
    assert told_code == own_code == code
    assert told == [f"error: process 1: {reason}"]
    assert said[-1] == f"error: {reason}"


# Process 1 has nothing more to do, and waits for process 0 to disconnect.
DONE = PROGRAM.replace("while True:", "while process == '0':")


def test_one_that_is_done_ends_with_the_reason_of_the_other():
    processes = started(
        0, 1, program=DONE.replace("    hosts.any_of(False)\n        time", "    time")
    )
    wait_for("joined", processes)
    time.sleep(0.5)  # process 1 disconnects
    processes[0].send_signal(signal.SIGINT)
    (code, _), (other_code, said) = ends(processes)
    assert code == other_code == 130
    assert said == ["error: process 0: ended by SIGINT"]


def test_a_signal_before_all_have_joined():
    port = free_port()
    [alone] = started(1, port=port, program=PROGRAM.replace("3  #", "3\nfailure._WAITING = 0.2  #"))
    wait_for("joining", [alone])
    with pytest.raises(subprocess.TimeoutExpired):
        alone.wait(1)  # for process 0, which never comes
    alone.send_signal(signal.SIGTERM)
    [(code, said)] = ends([alone])
    assert code == 128 + signal.SIGTERM
    assert said == [
        f"waiting for the other processes, which must all reach 127.0.0.1:{port}",
        "error: ended by SIGTERM before all processes had joined",
    ]


def test_after_sigint_nobody_waits_for_threads_of_libraries(monkeypatch, capfd):
    class LeftError(Exception):
        pass

    def leave(code):
        raise LeftError(code)

    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(LeftError, match="130"), errors_in_one_line():
        raise KeyboardInterrupt
    assert capfd.readouterr().err == "error: ended by SIGINT; repeat the command to go on\n"
