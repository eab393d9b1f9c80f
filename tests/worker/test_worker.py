"""`fleetd.worker` in a process of its own, against a real notify socket that comes and goes."""

from __future__ import annotations

import signal
from collections import Counter

from fleetd.core.events import JobReported, SaidAlive, SaidReady, SaidStatus, SaidStopping, Source
from fleetd.core.spec import LineMeaning
from tests.support.listening import Daemon
from tests.support.told_program import ended, hear, program, tell
from tests.support.waiting import wait_for

DONE, STARTED = LineMeaning.DONE, LineMeaning.STARTED


def test_a_worker_tells_of_its_jobs(daemon: Daemon) -> None:
    code = """
        worker.ready()
        worker.status("two\\nlines")
        worker.alive()
        with worker.job("encode", queue="media", id="7", enqueued_at=1790000000.5):
            pass
        try:
            with worker.job("broken", id="8"):
                raise KeyError("x")
        except KeyError:
            pass
        with worker.job("later", id="9") as job:
            job.released()
        with worker.job("unlucky", id="10") as job:
            job.failed()
    """
    with program(code, daemon.path) as process:
        wait_for(ended(process, daemon), "the program to end")

        assert process.returncode == 0
    told = daemon.work()
    assert told[:3] == [SaidReady("r1", Source.SOCKET), SaidStatus("r1", "two lines"), SaidAlive("r1")]
    assert told[3] == JobReported("r1", STARTED, Source.SOCKET, "7", "encode", "media", None, 1790000000.5, process.pid)
    assert [(e.meaning.value, e.id) for e in told[3:] if isinstance(e, JobReported)] == [
        ("started", "7"),
        ("done", "7"),
        ("started", "8"),
        ("failed", "8"),
        ("started", "9"),
        ("released", "9"),
        ("started", "10"),
        ("failed", "10"),
    ]


def test_without_a_notify_socket_nothing_happens() -> None:
    code = """
        worker.ready()
        with worker.job("encode"):
            pass
        print(threading.active_count(), worker.flush(), worker.dropped())
    """
    with program(code, None) as process:
        assert process.wait(timeout=30) == 0
        assert hear(process) == "1 True 0"


def test_a_job_of_which_no_id_is_known_has_one_of_its_own(daemon: Daemon) -> None:
    with program("for _ in range(2):\n    with worker.job('a'): pass", daemon.path) as process:
        wait_for(ended(process, daemon), "the program to end")

    counted = Counter(e.id for e in daemon.work() if isinstance(e, JobReported))
    assert sorted(counted.values()) == [2, 2]


IN_OTHER_TYPES = """
    from datetime import datetime, timezone
    from uuid import UUID
    with worker.job(17, queue=5, id=0, enqueued_at=datetime(2026, 9, 21, 14, 13, 20, 500000, timezone.utc)):
        pass
    worker.report("released", "b", id=UUID(int=7), enqueued_at=1790000000)
    worker.status(3)
    try:
        worker.job("c", enqueued_at="soon")
    except ValueError:
        print("refused")
"""


def test_values_of_other_types_are_told_as_their_text(daemon: Daemon) -> None:
    with program(IN_OTHER_TYPES, daemon.path) as process:
        wait_for(ended(process, daemon), "the program to end")
        assert (process.returncode, hear(process)) == (0, "refused")

    first, end, other = [event for event in daemon.work() if isinstance(event, JobReported)]
    assert (first.id, first.name, first.queue, first.enqueued_at) == ("0", "17", "5", 1790000000.5)
    assert (end.id, end.meaning) == ("0", DONE)
    assert (other.id, other.enqueued_at) == ("00000000-0000-0000-0000-000000000007", 1790000000.0)
    assert SaidStatus("r1", "3") in daemon.events


def test_what_is_wrong_is_wrong_without_a_daemon_too() -> None:
    with program(IN_OTHER_TYPES, None) as process:
        assert (process.wait(timeout=30), hear(process)) == (0, "refused")


LED = """
    for line in sys.stdin:
        with worker.job(line.strip()):
            pass
        print("did", line.strip())
"""


def test_jobs_done_while_the_daemon_is_away_count_once(daemon: Daemon) -> None:
    with program(LED, daemon.path) as process:
        tell(process, "before")
        wait_for(lambda: daemon.jobs(DONE) == ["before"], "the first job")

        daemon.die()
        for name in ("a", "b", "c"):
            tell(process, name)
            assert hear(process) == ("did before" if name == "a" else f"did {chr(ord(name) - 1)}")
        assert hear(process) == "did c"
        daemon.start()

        wait_for(lambda: daemon.jobs(DONE) == ["before", "a", "b", "c"], "the jobs done meanwhile")


def test_what_was_sent_but_not_written_down_is_sent_again_and_counts_once(daemon: Daemon) -> None:
    with program(LED, daemon.path) as process:
        for at in range(5):
            tell(process, f"job{at}")
            assert hear(process) == f"did job{at}"
            assert daemon.socket is not None
            if at % 2:
                # Taken, but neither written down nor acknowledged: the kill comes in between.
                wait_for(daemon.socket.receive, "the message")
            daemon.die()
            daemon.start()

        wait_for(lambda: len(daemon.jobs(DONE)) >= 5, "all jobs")
        tell(process, "last")
        wait_for(lambda: "last" in daemon.jobs(DONE), "the last job")

    assert daemon.jobs(DONE) == [f"job{at}" for at in range(5)] + ["last"]
    assert len(daemon.jobs(STARTED)) == 6


def test_what_was_lost_with_a_daemon_does_not_hold_up_what_follows(daemon: Daemon) -> None:
    """The gap is closed first: else the daemon refuses all that comes after it, again and again."""
    code = """
        for number in range(600):
            with worker.job(f"job-{number}"):
                time.sleep(0.002)
        worker.flush(60)
        """
    with program(code, daemon.path) as process:
        assert daemon.socket is not None
        wait_for(daemon.socket.receive, "messages that are taken and never written down")
        daemon.die()
        daemon.start()
        wait_for(ended(process, daemon), "all to arrive about as fast as it is told", within=20, every=0.001)
        assert Counter(daemon.jobs(DONE)) == Counter(f"job-{number}" for number in range(600))


def test_an_acknowledgement_that_was_lost_does_no_harm(daemon: Daemon) -> None:
    with program(LED, daemon.path) as process:
        tell(process, "a")
        assert daemon.socket is not None

        def both_taken() -> bool:
            assert daemon.socket is not None
            daemon.events += daemon.socket.receive()
            return len(daemon.events) == 2

        wait_for(both_taken, "both messages")
        daemon.written = dict(daemon.socket.seen)
        daemon.die()
        daemon.start()
        tell(process, "b")

        wait_for(lambda: daemon.jobs(DONE) == ["a", "b"], "the second job")


def test_a_daemon_that_forgot_its_senders_still_gets_everything(daemon: Daemon) -> None:
    with program(LED, daemon.path) as process:
        tell(process, "a")
        wait_for(lambda: daemon.jobs(DONE) == ["a"], "the first job")
        wait_for(lambda: hear(process) == "did a", "the program")
        daemon.die()
        daemon.written = {}
        tell(process, "b")
        hear(process)
        daemon.start()

        wait_for(lambda: daemon.jobs(DONE) == ["a", "b"], "the second job")


def test_a_daemon_that_was_set_back_still_gets_what_comes(daemon: Daemon) -> None:
    with program(LED, daemon.path) as process:
        tell(process, "a")
        wait_for(lambda: daemon.jobs(DONE) == ["a"], "the first job")
        earlier = daemon.written
        tell(process, "b")
        tell(process, "c")
        wait_for(lambda: daemon.jobs(DONE) == ["a", "b", "c"], "the next jobs")
        assert [hear(process) for _ in range(3)] == ["did a", "did b", "did c"]
        daemon.die()
        daemon.written = earlier
        tell(process, "d")
        hear(process)
        daemon.start()

        wait_for(lambda: "d" in daemon.jobs(DONE), "the job after it")
        tell(process, "e")
        wait_for(lambda: "e" in daemon.jobs(DONE), "one more")
    assert daemon.jobs(DONE) == ["a", "b", "c", "d", "e"]


def test_many_threads_are_counted_exactly(daemon: Daemon) -> None:
    code = """
        def work():
            for _ in range(100):
                with worker.job("encode"):
                    pass
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    """
    with program(code, daemon.path) as process:
        wait_for(ended(process, daemon), "the program to end", every=0)

    assert len(daemon.jobs(DONE)) == 800
    assert len(daemon.jobs(STARTED)) == 800


def test_a_forked_child_has_a_line_of_its_own(daemon: Daemon) -> None:
    code = """
        with worker.job("parent"):
            child = os.fork()
            if not child:
                with worker.job("child"):
                    pass
                os._exit(0 if worker.flush(20) else 1)
            assert os.waitpid(child, 0)[1] == 0
    """
    with program(code, daemon.path) as process:
        wait_for(ended(process, daemon), "the program to end")

        assert process.returncode == 0
    assert sorted(map(str, daemon.jobs(DONE))) == ["child", "parent"]
    assert len(daemon.senders) == 2


def test_what_does_not_fit_is_dropped_starts_first_and_no_job_waits(daemon: Daemon) -> None:
    daemon.die()
    code = """
        began = time.monotonic()
        for at in range(worker.MOST_KEPT):
            with worker.job(str(at)):
                pass
        print(time.monotonic() - began < 30, worker.dropped() > 5000)
        sys.stdin.readline()
    """
    with program(code, daemon.path) as process:
        assert hear(process) == "True True"
        daemon.start()

        last = str(10_000 - 1)
        wait_for(
            lambda: any(isinstance(e, JobReported) and e.name == last for e in daemon.work()[-1:]),
            "every end",
            within=60,
            every=0,
        )
    assert daemon.jobs(DONE) == [str(at) for at in range(10_000)]


def test_the_end_of_a_program_does_not_wait_for_ever(daemon: Daemon) -> None:
    daemon.die()

    with program("with worker.job('a'): pass", daemon.path) as process:
        assert process.wait(timeout=20) == 0


STOPPED = """
    print("stopping", worker.stopping)
    while not worker.stopping:
        with worker.job("round"):
            time.sleep(0.01)
    print("stopped")
"""


def test_a_stop_is_seen_between_jobs_and_said(daemon: Daemon) -> None:
    with program(STOPPED, daemon.path) as process:
        assert hear(process) == "stopping False"
        process.send_signal(signal.SIGTERM)
        wait_for(ended(process, daemon), "the program to end")

        assert process.returncode == 0
        assert hear(process) == "stopped"
    assert SaidStopping("r1") in daemon.work()
    assert len(daemon.jobs(STARTED)) == len(daemon.jobs(DONE))


def test_another_handler_of_the_stop_signal_is_left_alone() -> None:
    code = """
        import signal
        signal.signal(signal.SIGTERM, lambda *_: print("mine"))
        print(worker.handle_stop(), worker.stopping)
        os.kill(os.getpid(), signal.SIGTERM)
        print(worker.stopping)
    """
    with program(code, None) as process:
        assert process.wait(timeout=30) == 0
        assert [hear(process) for _ in range(3)] == ["False False", "mine", "False"]


def test_outside_the_main_thread_no_handler_is_installed() -> None:
    code = """
        thread = threading.Thread(target=lambda: print(worker.handle_stop()))
        thread.start()
        thread.join()
        print(worker.handle_stop(), worker.handle_stop())
    """
    with program(code, None) as process:
        assert process.wait(timeout=30) == 0
        assert [hear(process) for _ in range(2)] == ["False", "True True"]


def test_there_is_no_other_attribute() -> None:
    with program("print(hasattr(worker, 'stoping'), hasattr(worker, 'stopping'))", None) as process:
        assert hear(process) == "False True"


def test_importing_it_imports_nothing_else_of_fleetd() -> None:
    code = "print(sorted(m for m in sys.modules if m.startswith('fleetd')), 'asyncio' in sys.modules)"
    with program(code, None) as process:
        assert hear(process) == "['fleetd', 'fleetd.worker'] False"


def test_where_no_descriptor_is_left_the_job_is_done_and_later_ones_are_told(daemon: Daemon) -> None:
    code = """
        import resource
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        with worker.job("untold"):
            pass
        worker.report("done", "untold", id="1")
        print("did it", worker.flush())
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with worker.job("told"):
            pass
    """
    with program(code, daemon.path) as process:
        assert hear(process) == "did it True"
        wait_for(ended(process, daemon), "the program to end")

        assert process.returncode == 0
    assert (daemon.jobs(STARTED), daemon.jobs(DONE)) == (["told"], ["told"])


def test_where_no_thread_can_be_started_jobs_are_told_all_the_same(daemon: Daemon) -> None:
    daemon.die()
    code = """
        threading.stack_size(1 << 47)  # more than there are addresses: as where the system has no thread to give
        try:
            threading.Thread(target=print).start()
        except RuntimeError:
            print("no threads")
        for name in ("a", "b"):
            with worker.job(name):
                pass
        print(threading.active_count())
        print(worker.flush(30))
        threading.stack_size(0)
        sys.stdin.readline()
        with worker.job("c"):
            pass
        print(threading.active_count())
    """
    with program(code, daemon.path) as process:
        assert [hear(process), hear(process)] == ["no threads", "1"]
        daemon.start()
        wait_for(lambda: daemon.jobs(DONE) == ["a", "b"], "the jobs told without a thread")
        assert hear(process) == "True"
        tell(process, "go on")
        assert hear(process) == "2"
        wait_for(ended(process, daemon), "the program to end")

    assert daemon.jobs(STARTED) == daemon.jobs(DONE) == ["a", "b", "c"]
