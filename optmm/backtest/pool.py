"""Worker processes and who gets which day. Results do not depend on either.

Processes are started afresh (spawn), so that no thread or lock of the parent is inherited. One
that dies takes only its own cell-day with it: the loss is an outcome like any other, and another
process takes its place.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from optmm.backtest.worker import Outcome, Task, serve

Done = Callable[[Task, Outcome], None]
GRACE_S = 5.0


@dataclass(slots=True)
class Queue:
    """Tasks by day. A worker stays with the day it has loaded while that has tasks left."""

    days: dict[int, deque[Task]]

    def __len__(self) -> int:
        return sum(map(len, self.days.values()))

    def take(self, held: int, elsewhere: Iterable[int]) -> Task:
        """The next task for a worker that holds day `held`, others holding `elsewhere`.

        Its own day first; then the day with most tasks that nobody holds; then the day with most.
        """
        there = set(elsewhere)
        day = min(
            (day for day, tasks in self.days.items() if tasks),
            key=lambda day: (day != held, day in there, -len(self.days[day]), day),
        )
        return self.days[day].popleft()


def queued(tasks: Iterable[Task]) -> Queue:
    """Tasks in their order within each day."""
    days: dict[int, deque[Task]] = {}
    for task in tasks:
        days.setdefault(task.day.number, deque()).append(task)
    return Queue(days)


@dataclass(slots=True)
class Worker:
    """A process, our end of its pipe, and what it is doing."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    day: int = 0


def run_all(tasks: Iterable[Task], *, jobs: int, cache: str, warm: bool, done: Done) -> None:
    """Do every task in at most `jobs` processes and hand each outcome to `done`, as it comes.

    Parameters
    ----------
    warm : kernels are compiled. Else one process does the first task alone, and the rest start when
        that has filled the cache: otherwise each would compile the same.
    """
    queue, workers = queued(tasks), list[Worker]()
    try:
        while queue or any(w.task for w in workers):
            wanted = min(jobs if warm else 1, len(workers) + len(queue))
            workers += [_start(cache) for _ in range(wanted - len(workers))]
            for worker in workers:
                if worker.task is None and queue:
                    _give(worker, queue, workers)
            ready = wait([w.pipe for w in workers if w.task is not None])
            for worker in [w for w in workers if w.pipe in ready]:
                task, outcome = worker.task, _outcome(worker)
                assert task is not None
                warm = True
                done(task, outcome)
                worker.task = None
                if not worker.process.is_alive():
                    workers.remove(worker)
    finally:
        _stop(workers)


def _start(cache: str) -> Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, cache), daemon=True)
    # a Ctrl-C while it starts is ours alone; it waits here until the process is on its way
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # so that its end is noticed
    return Worker(process, ours)


def _give(worker: Worker, queue: Queue, workers: list[Worker]) -> None:
    task = queue.take(worker.day, (w.day for w in workers if w is not worker))
    worker.task, worker.day = task, task.day.number
    try:
        worker.pipe.send(task)
    except OSError:  # it died while idle: `_outcome` finds out
        return


def _outcome(worker: Worker) -> Outcome:
    try:
        outcome = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join(GRACE_S)
        code = worker.process.exitcode
        why = "; the system may be out of memory: fewer --jobs need less" if code == -9 else ""
        return Outcome((), {}, f"its process ended with code {code}{why}")
    assert isinstance(outcome, Outcome)
    return outcome


def _stop(workers: list[Worker]) -> None:
    """End every process: idle ones by request, busy ones by signal."""
    for worker in workers:
        if worker.task is not None:
            worker.process.terminate()
        worker.pipe.close()
    for worker in workers:
        worker.process.join(GRACE_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()
