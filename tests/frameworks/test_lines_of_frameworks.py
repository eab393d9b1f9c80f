"""What each framework's real output lines are read as."""

from __future__ import annotations

import pytest

from fleetd.core.spec import LineMeaning
from fleetd.frameworks.framework import builtin
from fleetd.frameworks.lines import LineReport, Patterns, Scanner

READY, STARTED, DONE, FAILED, RELEASED, _UNHEARD = LineMeaning

ID = "VGTdh9DHJuFAJzbA806rdSBba5aUvm3a"
UUID = "2f045f5c-d3be-4a36-b18a-f802088a985c"
HEX = "e11d17833a774021b06beaaf40c90d06"
JOB = r"App\Jobs\TranscodeJob"

LARAVEL = [
    # Laravel 8.83, captured
    (rf"[2026-11-23 18:10:47][{ID}] Processing: {JOB}", LineReport(STARTED, ID, JOB)),
    (rf"[2026-11-23 18:10:48][{ID}] Processed:  {JOB}", LineReport(DONE, ID, JOB)),
    (rf"[2026-11-23 18:11:15][{ID}] Failed:     {JOB}", LineReport(FAILED, ID, JOB)),
    # 9.21 to 9.40: the end alone
    (rf"  2022-07-20 10:11:12 {JOB} ............ 12.34ms DONE", LineReport(DONE, None, JOB, None, 0.01234)),
    # from 9.41
    (rf"  2026-08-21 10:11:12 {JOB} ............ RUNNING", LineReport(STARTED, None, JOB)),
    (rf"  2026-08-21 10:11:12 {JOB}  RUNNING", LineReport(STARTED, None, JOB)),
    (rf"  2026-08-21 10:11:12 {JOB} ..... 1,234.56ms DONE", LineReport(DONE, None, JOB, None, 1.23456)),
    (rf"  2026-08-21 10:11:12 {JOB} ..... 1m 2s 345ms FAIL", LineReport(FAILED, None, JOB, None, 62.345)),
    (rf"  2026-08-21 10:11:12 {JOB}  2s DONE", LineReport(DONE, None, JOB, None, 2.0)),
    ("  2026-08-21 10:11:12 Encode a video ..... 3ms DONE", LineReport(DONE, None, "Encode a video", None, 0.003)),
    # -v
    (rf"  2026-08-21 10:11:12 {JOB} {ID} ....... RUNNING", LineReport(STARTED, ID, JOB)),
    (rf"  2026-08-21 10:11:12 {JOB} {ID} redis media . RUNNING", LineReport(STARTED, ID, JOB, "media")),
    (rf"  2026-08-21 10:11:12 {JOB} {UUID} sqs media . RUNNING", LineReport(STARTED, UUID, JOB, "media")),
    (
        rf"  2026-08-21 10:11:12 {JOB} {ID} redis media .... 12.34ms 26.5MB DONE",
        LineReport(DONE, ID, JOB, "media", 0.01234),
    ),
    (rf"  2026-08-21 10:11:12 {JOB} 4711 database media .. 5s FAIL", LineReport(FAILED, "4711", JOB, "media", 5.0)),
    ("  2026-08-21 10:11:12 Encode 4 videos ..... RUNNING", LineReport(STARTED, None, "Encode 4 videos")),
    ("  2026-08-21 10:11:12 Encode 4 videos ..... 3ms DONE", LineReport(DONE, None, "Encode 4 videos", None, 0.003)),
    (rf"  2026-08-21 10:11:12 {JOB} {ID} redis media 12.34ms 26.5MB DONE", LineReport(DONE, ID, JOB, "media", 0.01234)),
    (rf"  2026-08-21 10:11:12 {JOB} {ID} 12.34ms DONE", LineReport(DONE, ID, JOB, None, 0.01234)),
    (rf"  2026-08-21 10:11:12 {JOB} 4711 ...... RUNNING", LineReport(STARTED, "4711", JOB)),
    # coloured
    (
        f"  \x1b[90m2026-08-21 10:11:12\x1b[39m {JOB} \x1b[90m.\x1b[39m\x1b[90m.\x1b[39m \x1b[33;1mRUNNING\x1b[39;22m",
        LineReport(STARTED, None, JOB),
    ),
    # --json
    (
        (
            '{"level":"info","id":"x1","uuid":"u","connection":"redis","queue":"media","job":"App\\\\Jobs\\\\X",'
            '"status":"starting","attempts":1,"timestamp":"2026-08-21T10:11:12.123456+00:00"}'
        ),
        LineReport(STARTED, "x1", "App\\Jobs\\X", "media"),
    ),
    (
        (
            '{"level":"info","id":17,"uuid":"u","connection":"redis","queue":"media","job":"App\\\\Jobs\\\\X",'
            '"status":"success","result":"deleted","attempts":1,"timestamp":"2026","duration":0.012345}'
        ),
        LineReport(DONE, "17", "App\\Jobs\\X", "media", 0.012345),
    ),
    (
        '{"level":"info","id":"x1","job":"J","status":"success","result":"released","duration":0.5}',
        LineReport(RELEASED, "x1", "J"),
    ),
    (
        '{"level":"warning","id":"x1","queue":"q","job":"J","status":"released_after_exception","duration":0.5}',
        LineReport(FAILED, "x1", "J", "q", 0.5),
    ),
    (
        '{"level":"error","id":"x1","queue":"q","job":"J","status":"failed","message":"no","duration":1.5}',
        LineReport(FAILED, "x1", "J", "q", 1.5),
    ),
    ("   INFO  Processing jobs from the [media] queue.  ", None),
    ('{"level":"warning","queue":"media","status":"paused"}', None),
    ("[2026-11-23 18:11:17] production.ERROR: transcode failed on demand: clip-1", None),
    ("our own line that says RUNNING", None),
]

RQ = [
    ("18:16:23 *** Listening on high, default...", LineReport(READY)),
    (
        f"18:16:23 Worker {HEX}: high: tasks.transcode(name='clip-1') ({UUID})",
        LineReport(STARTED, UUID, "tasks.transcode", "high"),
    ),
    (f"18:16:23 Worker {HEX}: high: Job OK ({UUID})", LineReport(DONE, UUID, None, "high")),
    (f"10:11:12 default: tasks.encode(1) ({UUID})", LineReport(STARTED, UUID, "tasks.encode", "default")),
    (f"10:11:12 default: Job OK ({UUID})", LineReport(DONE, UUID, None, "default")),
    ("10:11:12 low:er: Encode a (long) video: 1 (my-job)", LineReport(STARTED, "my-job", "Encode a", "low:er")),
    (f"10:11:12 Worker {HEX} [PID 7]: media: nightly (n1)", LineReport(STARTED, "n1", "nightly", "media")),
    (
        f"18:17:10 Worker {HEX}: job {UUID}: exception raised while executing (tasks.transcode)",
        LineReport(FAILED, UUID, "tasks.transcode"),
    ),
    (f"18:17:10 [Job {UUID}]: exception raised while executing (tasks.x)", LineReport(FAILED, UUID, "tasks.x")),
    (
        f"18:17:13 Worker {HEX}: job {UUID} failed (Work-horse terminated unexpectedly; waitpid returned 1792; )",
        LineReport(FAILED, UUID),
    ),
    (
        "18:17:13 Moving job to FailedJobRegistry (Work-horse terminated unexpectedly; waitpid returned 9)",
        LineReport(FAILED),
    ),
    (f"18:16:23 Worker {HEX}: started with PID 1825, version 3.0.0", None),
    (f"18:16:23 Worker {HEX}: job {UUID} result is kept for 500 seconds", None),
    (f"18:16:23 Successfully completed tasks.f(1) job in 0:00:00.202284s on worker {HEX}", None),
    (f"18:16:52 Worker {HEX} [PID 2077]: warm shut down requested", None),
    (f"18:16:52 Worker {HEX}: cleaning registries for queue: high", None),
    ("what the job prints (with parentheses)", None),
]

TASK = f"app.transcode[{UUID}]"
CELERY = [
    ("[2026-11-23 18:19:02,242: INFO/MainProcess] celery@vm ready.", LineReport(READY)),
    (f"[2026-11-23 18:19:02,250: INFO/MainProcess] Task {TASK} received", None),
    (
        f"[2026-11-23 18:19:02,554: INFO/ForkPoolWorker-1] Task {TASK} succeeded in 0.3012866070000655s: 'clip-1'",
        LineReport(DONE, UUID, "app.transcode", None, 0.3012866070000655),
    ),
    (
        f"[2026-08-21 10:11:12,123: INFO/ForkPoolWorker-8] Task {TASK} succeeded in 1.9999e-05s: 3",
        LineReport(DONE, UUID, "app.transcode", None, 1.9999e-05),
    ),
    (
        f"[2026-11-23 18:20:54,755: ERROR/ForkPoolWorker-1] Task {TASK} raised unexpected: RuntimeError('x')",
        LineReport(FAILED, UUID, "app.transcode"),
    ),
    (
        f"[2026-11-23 21:36:14,708: INFO/ForkPoolWorker-1] Task {TASK} raised expected: KeyError(1)",
        LineReport(FAILED, UUID, "app.transcode"),
    ),
    (f"[2026-11-23 21:36:14,706: INFO/ForkPoolWorker-1] Task {TASK} retry: Retry in 0s: ValueError('x')", None),
    (
        f"[2026-11-23 21:36:14,710: INFO/ForkPoolWorker-1] Task {TASK} ignored",
        LineReport(RELEASED, UUID, "app.transcode"),
    ),
    (
        f"[2026-11-23 21:36:16,754: ERROR/MainProcess] Hard time limit (2.0s) exceeded for {TASK}",
        LineReport(FAILED, UUID, "app.transcode", None, 2.0),
    ),
    ("[2026-11-23 21:36:16,754: ERROR/MainProcess] Task handler raised error: TimeLimitExceeded(2.0)", None),
    (
        (
            "[2026-11-23 21:36:14,725: ERROR/MainProcess] Task handler raised error: "
            "WorkerLostError('Worker exited prematurely: exitcode 7 Job: 5.')"
        ),
        LineReport(FAILED),
    ),
    ("[2026-11-23 18:20:58,030: WARNING/ForkPoolWorker-1] the system is ready.", None),
]

CLASS, JID = "TranscodeWorker", "9a475cef287e472471c6fef3"
SIDEKIQ = [
    (
        '2026-11-23T18:22:41.704Z pid=13495 tid=9kf INFO: Booting Sidekiq 6.4.1 with redis options {:url=>"redis://x/3"}',
        LineReport(READY),
    ),
    (
        "INFO  2026-11-23T18:22:41.704Z pid=1 tid=9kf: Sidekiq 8.1.7 connecting to Redis with options {}",
        LineReport(READY),
    ),
    (f"2018-01-01T00:00:00.000Z 12 TID-abc {CLASS} JID-f00 INFO: start", LineReport(STARTED, "f00", CLASS)),
    (
        f"2018-01-01T00:00:00.000Z 12 TID-abc {CLASS} JID-f00 INFO: done: 0.123 sec",
        LineReport(DONE, "f00", CLASS, None, 0.123),
    ),
    (
        f"2018-01-01T00:00:00.000Z 12 TID-abc {CLASS} JID-f00 INFO: fail: 0.1 sec",
        LineReport(FAILED, "f00", CLASS, None, 0.1),
    ),
    (
        f"2026-11-23T18:22:41.707Z pid=13495 tid=9sv class={CLASS} jid={JID} INFO: start",
        LineReport(STARTED, JID, CLASS),
    ),
    (
        f"2026-11-23T18:22:42.008Z pid=13495 tid=9sv class={CLASS} jid={JID} elapsed=0.3 INFO: done",
        LineReport(DONE, JID, CLASS, None, 0.3),
    ),
    (f"pid=7 tid=9n5 class=A::B jid={JID} elapsed=0.101 INFO: fail", LineReport(FAILED, JID, "A::B", None, 0.101)),
    (
        f"\x1b[1;34mINFO \x1b[0m 2026-11-23T18:22:42.008Z pid=12 tid=abc jid={JID} class={CLASS} elapsed=0.123: done",
        LineReport(DONE, JID, CLASS, None, 0.123),
    ),
    (f"INFO  2026-11-23T18:22:42.008Z pid=12 tid=abc jid={JID} class={CLASS}: start", LineReport(STARTED, JID, CLASS)),
    (
        (
            '{"ts":"2026-11-23T18:22:42.008Z","pid":7,"tid":"abc","lvl":"INFO","msg":"done",'
            f'"ctx":{{"jid":"{JID}","class":"{CLASS}","elapsed":0.123}}}}'
        ),
        LineReport(DONE, JID, CLASS, None, 0.123),
    ),
    (
        (
            '{"ts":"2026-11-23T18:22:42.008Z","pid":7,"tid":"abc","lvl":"INFO","msg":"start",'
            f'"ctx":{{"class":"{CLASS}","bid":"b","jid":"{JID}"}}}}'
        ),
        LineReport(STARTED, JID, CLASS),
    ),
    ("2026-11-23T18:23:00.000Z pid=1 tid=9sv INFO: Shutting down", None),
    ("the application says: done", None),
]

DRAMATIQ = [
    (
        (
            "[2026-11-23 21:34:52,020] [PID 19420] [MainThread] [dramatiq.WorkerProcess(0)] [INFO] "
            "Worker process is ready for action."
        ),
        LineReport(READY),
    ),
    (
        (
            "[2026-11-23 21:34:52,026] [PID 19420] [Thread-4] [dramatiq.worker.WorkerThread] [DEBUG] "
            f"Received message ok(1, x='a (b)') with id '{UUID}'."
        ),
        LineReport(STARTED, UUID, "ok"),
    ),
    ("[2026-11-23 21:34:52,026] [PID 19420] [Thread-4] [dapp.ok] [DEBUG] Received args=(1,) kwargs={}.", None),
    ("[2026-11-23 21:34:52,076] [PID 19420] [Thread-4] [dapp.ok] [DEBUG] Completed after 50.14ms.", None),
    (
        (
            "[2026-11-23 21:34:52,077] [PID 19420] [Thread-4] [dramatiq.worker.ConsumerThread(media)] [DEBUG] "
            f"Acknowledging message '{UUID}'."
        ),
        LineReport(DONE, UUID, None, "media"),
    ),
    (
        (
            "[2026-11-23 21:34:52,278] [PID 19420] [Thread-3] [dramatiq.worker.ConsumerThread(media.DQ)] [DEBUG] "
            f"Acknowledging message '{UUID}'."
        ),
        None,
    ),
    (
        (
            "[2026-11-23 21:34:52,088] [PID 19420] [Thread-4] [dramatiq.middleware.retries.Retries] [INFO] "
            f"Retrying message '{UUID}' in 178 milliseconds."
        ),
        LineReport(RELEASED, UUID),
    ),
    (
        (
            "[2026-11-23 21:34:52,353] [PID 19420] [Thread-4] [dramatiq.worker.ConsumerThread(media)] [DEBUG] "
            f"Rejecting message '{UUID}'."
        ),
        LineReport(FAILED, UUID, None, "media"),
    ),
]

CASES = [
    pytest.param(name, line, expected, id=f"{name}-{at}")
    for name, table in {
        "laravel": LARAVEL,
        "rq": RQ,
        "celery": CELERY,
        "sidekiq": SIDEKIQ,
        "dramatiq": DRAMATIQ,
    }.items()
    for at, (line, expected) in enumerate(table)
]


@pytest.mark.parametrize(("name", "line", "expected"), CASES)
def test_a_captured_line_is_read_as_what_it_tells(name: str, line: str, expected: LineReport | None) -> None:
    framework = builtin(name)
    assert framework is not None

    reports = Scanner(Patterns(framework.patterns)).feed(line.encode() + b"\r\n")

    assert reports == ([expected] if expected else [])
