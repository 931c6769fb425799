"""One run of chaos.py: a command, what troubles it, and whether what is left is right."""

import dataclasses
import os
import random
import re
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import chaos_process
from chaos_edits import Edit
from chaos_process import NONE, Running, Trouble
from chaos_world import Outcome, Reference, World, look, prune
from ports import free_port

STOPPED = re.compile(r"terminated after layer \d+ of \d+; the same command resumes from there")
# What a run without trouble may say of a workdir in which there was trouble before.
REFUSALS = re.compile(
    r"error: .*(contains an unfinished run with|damaged[^;]*; allowed: --overwrite|contains a complete run with|"
    r"broken[,;]|exists and was not written by jaxprune)"
)


@dataclasses.dataclass
class Case:
    """A model, a calibration set, a workdir, and the story of what happened.

    Attributes:
      folder: with `model`, `data` and, beside what counts as steps, `log`.
      fields: of the config.
      story: a line for each thing that was done, and for what came of it.
      findings: what must not be.
      tried, complete: commands under trouble, and how many of these ended complete.
    """

    world: World
    folder: Path
    rng: random.Random
    fields: dict[str, object]
    devices: int = 2
    workdir: Path = Path()
    story: list[str] = dataclasses.field(default_factory=list)
    findings: list[str] = dataclasses.field(default_factory=list)
    tried: int = 0
    complete: int = 0
    old: Outcome | None = None  # what a finished run left in the workdir
    _logs: int = 0

    def right(self) -> Reference:
        """What the command makes undisturbed of model and data as they are now."""
        return self.world.reference(self.folder, self.fields)

    def find(self, what: str) -> None:
        self.findings.append(what)
        self.story.append(f"FINDING: {what}")

    def command(self, *more: str) -> list[str]:
        return prune(self.folder, self.workdir, self.fields, *more)

    def start(self, *more: str, trouble: Trouble = NONE) -> Running:
        log = self.folder.with_name(f"{self.folder.name}-log") / str(self._logs)
        log.parent.mkdir(exist_ok=True)
        self._logs += 1
        return chaos_process.start(
            self.command(*more), log, self.folder, devices=self.devices,
            cache=(self.world.root / "compiled", False), trouble=trouble,
        )  # fmt: skip

    def start_two(self, troubles: Mapping[int, Trouble], *more: str) -> list[Running]:
        """The two processes of one command."""
        flags = (f"--coordinator=127.0.0.1:{free_port()}", "--processes=2")
        return [
            self.start(*flags, f"--process={i}", *more, trouble=troubles.get(i, NONE))
            for i in range(2)
        ]

    def moment(self, act: Callable[[int], None], name: str, **more: object) -> Trouble:
        """Trouble at a random moment of the command: before one of its steps, or by the clock."""
        right, share = self.right(), self.rng.random()
        if self.rng.random() < 0.6:
            step = 1 + int(share * right.steps)
            return Trouble(f"{name} at step {step} of {right.steps}", act, step=step, **more)  # type: ignore[arg-type]
        second = 0.05 + share * 1.05 * right.seconds
        return Trouble(f"{name} after {second:.3f} s", act, second=second, **more)  # type: ignore[arg-type]

    def signal(self, *numbers: signal.Signals) -> Trouble:
        """One of these at a random moment."""
        number = self.rng.choice(numbers or _SIGNALS)
        return self.moment(lambda pid: os.kill(pid, number), number.name, sent=number)

    def signal_to_one_of_two(self) -> Trouble:
        """As `signal`, after both have met: until then nobody can tell the other."""
        number = self.rng.choice(_SIGNALS)
        if self.rng.random() < 0.5:
            step = 1 + self.rng.randrange(self.right().steps)
            name = f"{number.name} at step {step}"
            return Trouble(name, lambda pid: os.kill(pid, number), step=step, met=True, sent=number)
        second = self.rng.uniform(0, 2 * self.right().seconds)

        def act(pid: int) -> None:
            timer = threading.Timer(second, os.kill, (pid, number))
            timer.daemon = True
            timer.start()

        return Trouble(
            f"{number.name} {second:.3f} s after its first step", act, step=1, met=True, sent=number
        )

    def edit(self, edit: Edit) -> str:
        said = edit(self.folder, random.Random(self.rng.random()))
        self.story.append(f"edit: {said}")
        return said

    def editing(self, edit: Edit) -> Trouble:
        """An edit at a random moment of the command."""
        rng = random.Random(self.rng.random())
        return self.moment(lambda _: str(edit(self.folder, rng)) and None, edit.__name__)

    # What came of it.

    def judge(
        self,
        processes: Sequence[Running],
        allowed: Sequence[Reference],
        *,
        undisturbed: bool = False,
    ) -> bool:
        """Looks at processes of one command, or of equal ones, that have ended, and at the workdir.

        Args:
          allowed: what may have been made.
          undisturbed: nothing happened to them.

        Returns:
          Whether the workdir holds a complete run that is one of those allowed.
        """
        for number, process in enumerate(processes):
            self._judge_end(process, number, processes)
        whole, faults = look(self.workdir)
        for fault in faults:
            self.find(f"a report.json that passes for whole: {fault}")
        right = whole is not None and any(whole == one.outcome for one in allowed)
        if whole is not None and not right and whole != self.old:
            self.find(f"complete and wrong: {_difference(whole, allowed)}")
        finished = any(process.code == 0 for process in processes)
        if finished and not right and not faults:
            self.find(
                f"exit code 0, and {'another run' if whole else 'no complete run'} in the workdir"
            )
        if self.old is not None and whole is None and not faults:
            self._judge_lost()
        if not undisturbed:
            self.tried += 1
            self.complete += right
        if right:
            self.old = whole
        return right

    def _judge_end(self, process: Running, number: int, all_of_them: Sequence[Running]) -> None:
        said, sent, code = process.said, process.trouble.sent, process.code
        name = f"process {number} ({process.trouble.name})"
        shown = " | ".join(said)[:600]
        self.story.append(f"{name}: {code}, {(process.ended or 0) - process.began:.1f} s, {shown}")
        if process.late:
            self.find(f"{name} did not end: {shown}")
            return
        if code == -signal.SIGABRT and process.trouble.memory is not None:
            return  # XLA's threads end a process that gets no memory, in C++'s words
        if code == 0 or ((process.acted or process.trouble.step) and sent and code == -sent):
            after_the_end = (
                sent == signal.SIGINT and "Exception ignored in" in shown
            )  # Python's own
            if said and code != -signal.SIGKILL and not after_the_end:
                self.find(f"{name}: {code}, and lines that say nothing: {shown}")
            return
        if code == -signal.SIGABRT and -signal.SIGKILL in [one.code for one in all_of_them]:
            return  # JAX ends it, in its own words
        if len(said) != 1 or not (said[0].startswith("error: ") or STOPPED.fullmatch(said[0])):
            self.find(f"{name}: {code} with {len(said)} lines: {shown}")
        elif code not in (1, 2, *(128 + one for one in _SIGNALS)):
            self.find(f"{name}: exit code {code}: {shown}")

    def _judge_lost(self) -> None:
        """An older finished run goes only when the new one is whole: from then on all its layers are kept."""
        assert self.old is not None
        layers = len(self.old["sparsity"]["layers"])  # type: ignore[index, call-overload, arg-type]
        kept = len(list((self.workdir / "progress").glob("layer_*.npz")))
        if kept != layers:
            self.find(
                f"the older finished run is gone, and {kept} of {layers} layers of the new one are there"
            )
        self.old = None

    def end(self, *more: str, may_refuse: bool = False) -> None:
        """The last run, to which nothing happens: it is complete, or refused for what happened before."""
        last = self.start(*more)
        chaos_process.wait([last])
        right = self.right()
        complete = self.judge([last], [right], undisturbed=True)
        if right.outcome is None:
            if last.code == 0:
                self.find(f"complete, where a clean start says {right.said}")
        elif not complete:
            said = " | ".join(last.said)
            if not (may_refuse and last.code == 2 and REFUSALS.match(said)):
                self.find(f"the last run, without trouble, is not complete: {last.code} {said}")
            elif "--overwrite" not in more:
                self.end(
                    "--overwrite",
                    *more,
                    may_refuse="exists and was not written" in said or "broken" in said,
                )

    def end_damaged(self) -> None:
        """The last run where a finished one was damaged: the same command shows that one or refuses.

        It looks at report.json alone; verify is what looks at the rest. With --overwrite the new run is right, or
        refused where the damaged file is no longer known for ours.
        """
        for more in ((), ("--overwrite",)):
            last = self.start(*more)
            chaos_process.wait([last])
            if last.code == 0 and more:
                self.judge([last], [self.right()], undisturbed=True)
            else:
                self._judge_end(last, 0, [last])

    def stop_midway(self) -> None:
        """Has the command end somewhere, so that there may be layers to go on from."""
        process = self.start(trouble=self.signal(signal.SIGKILL, signal.SIGTERM))
        chaos_process.wait([process])
        self.judge([process], [self.right()], undisturbed=True)


_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _difference(whole: Outcome, allowed: Sequence[Reference]) -> str:
    """What differs, by name, from each that is allowed."""
    texts = []
    for one in allowed:
        if one.outcome is None:
            texts.append(f"a clean start is refused: {one.said}")
            continue
        names = [name for name in whole if whole[name] != one.outcome[name]]
        texts.append(
            f"{', '.join(names)} of a clean start: { {n: one.outcome[n] for n in names} }"[:600]
        )
    return "; or ".join(texts)
