"""The one table of metrics: /metrics, its reference page and the checks of rules and dashboard come from it.

Names and labels are public.  No label comes from a worker: pools, queues, brokers and the fleet are named in pool
files, all other values are fixed words, so that the number of series is bounded by the files.
"""

from __future__ import annotations

from fleetd.views.metrics import hosts, pools, queues
from fleetd.views.metrics.metric import Kind, Metric

_GAUGE, _COUNTER, _HISTOGRAM, _INFO = Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM, Kind.INFO

_ANEW = "since the daemon was started"

QUEUES: tuple[Metric, ...] = (
    Metric("fleetd_queue_depth", _GAUGE, ("pool", "queue", "state"),
           "Jobs in a queue: ready, delayed, due (delayed, and their time has come) or reserved (in hand somewhere).",
           queues.depths),
    Metric("fleetd_queue_oldest_age_seconds", _GAUGE, ("pool", "queue"),
           "Age of the oldest ready job, 0 where none waits.", queues.oldest_ages),
    Metric("fleetd_queue_wait_seconds", _GAUGE, ("pool", "queue"),
           "How long the next job will have waited when it starts.", queues.waits),
    Metric("fleetd_queue_wait_estimated", _GAUGE, ("pool", "queue"),
           "1 where the wait is estimated (the time to clear the queue, or to have stood still), 0 if measured.",
           queues.estimated),
    Metric("fleetd_queue_jobs_total", _COUNTER, ("pool", "queue", "status"),
           "Jobs that were done or failed on this host and told which queue they were of. Goes on over a restart of "
           "the daemon.", queues.jobs),
    Metric("redis_queue_depth", _GAUGE, ("queue",),
           "Jobs of a queue that a worker could take now: ready and due. For autoscalers that know this name; a queue "
           "that several pools share is told once, whatever kind of broker it is in.", queues.waiting),
)  # fmt: skip

JOBS: tuple[Metric, ...] = (
    Metric("fleetd_jobs_total", _COUNTER, ("pool", "status"),
           "Jobs of a pool that were done or failed on this host. Goes on over a restart of the daemon.", pools.jobs),
    Metric("fleetd_job_runtime_seconds", _HISTOGRAM, ("pool",),
           f"How long jobs took, {_ANEW}.", pools.runtimes),
)  # fmt: skip

WORKERS: tuple[Metric, ...] = (
    Metric("fleetd_pool_state", _GAUGE, ("pool", "state"),
           "1 for the state that the pool is in: running, degraded (some worker is not healthy), paused, stopping or "
           "stopped; 0 for the others.", pools.states),
    Metric("fleetd_pool_desired_workers", _GAUGE, ("pool",),
           "Workers that the pool is to have, by its numprocs or by `fleetd scale`.", pools.desired),
    Metric("fleetd_workers", _GAUGE, ("pool", "state"),
           "Workers by state: starting, running (healthy), stopping, backoff (to be started after a pause), waiting "
           "(to be started), stopped or given-up.", pools.workers),
    Metric("fleetd_workers_busy", _GAUGE, ("pool",),
           "Workers with a job in hand. Only of pools whose workers tell.", pools.busy),
    Metric("fleetd_workers_crash_looping", _GAUGE, ("pool",),
           "Workers that ended unplanned five times in a row, or are not started any more because they failed.",
           pools.crash_looping),
    Metric("fleetd_worker_starts_total", _COUNTER, ("pool", "reason"),
           f"Starts of workers {_ANEW}, tries included, by the reason of the exit that led to each; first: none that "
           "this daemon has seen. A worker that is started to replace one counts for why that is to leave.",
           pools.starts),
    Metric("fleetd_workers_memory_bytes", _GAUGE, ("pool",),
           "Resident memory of the workers' main processes, added up.", pools.memory),
    Metric("fleetd_workers_cpu_seconds_total", _COUNTER, ("pool",),
           f"Processor time of the workers' main processes, {_ANEW}, as far as it was used before a scrape: that of a "
           "worker between the last scrape and its end is not seen, nor what workers that were taken over had used "
           "before the first scrape.", pools.cpu),
    Metric("fleetd_output_dropped_bytes_total", _COUNTER, ("pool",),
           f"Output of workers that could not be written, {_ANEW}.", pools.output_dropped),
)  # fmt: skip

ROLLOUTS: tuple[Metric, ...] = (
    Metric("fleetd_restart_epoch", _GAUGE, ("pool",),
           "Lowest restart epoch of the workers that start or run, 0 from before the first request. Only in a fleet.",
           pools.epochs),
    Metric("fleetd_restart_epoch_target", _GAUGE, ("pool",),
           "Restart epoch that the pool's workers are brought to. Only in a fleet, once it has answered.",
           pools.target_epochs),
    Metric("fleetd_pool_rollout", _GAUGE, ("pool", "state"),
           "1 for the state of the rollout that the pool is in: waiting (for this host's turn), running or halted; "
           "0 for the others.", pools.rollouts),
    Metric("fleetd_pool_rollout_pending_workers", _GAUGE, ("pool",),
           "Slots that a rollout has not come to yet, or was halted before.", pools.not_rolled),
)  # fmt: skip

HOST: tuple[Metric, ...] = (
    Metric("fleetd_build_info", _INFO, ("version", "python"), "Always 1: the versions of fleetd and Python.",
           hosts.build),
    Metric("fleetd_start_time_seconds", _GAUGE, (),
           "When the daemon was started or replaced by another version, in Unix seconds.", hosts.started),
    Metric("fleetd_stopping", _GAUGE, (), "1 while the daemon drains all workers, to end.", hosts.stopping),
    Metric("fleetd_coordination_up", _GAUGE, ("fleet",),
           "1 while the fleet's Redis answers, 0 while it does not. Only in a fleet.", hosts.coordination),
    Metric("fleetd_fleet_member", _GAUGE, ("fleet",),
           "1 where this daemon is a member of the fleet, 0 where it is not yet, or another one has its name.",
           hosts.member),
    Metric("fleetd_broker_up", _GAUGE, ("broker",),
           "1 where the last read of the broker was answered, 0 where it was not.", hosts.brokers),
    Metric("process_resident_memory_bytes", _GAUGE, (), "Resident memory of the daemon.", hosts.resident),
    Metric("process_cpu_seconds_total", _COUNTER, (), "Processor time of the daemon.", hosts.cpu),
    Metric("process_start_time_seconds", _GAUGE, (),
           "When the daemon's process began, in Unix seconds; an upgrade keeps the process.", hosts.process_started),
    Metric("process_open_fds", _GAUGE, (), "Open file descriptors of the daemon.", hosts.open_files),
    Metric("process_max_fds", _GAUGE, (), "File descriptors that the daemon may have open.", hosts.most_files),
)  # fmt: skip

SECTIONS: tuple[tuple[str, tuple[Metric, ...]], ...] = (
    ("Queues", QUEUES),
    ("Jobs", JOBS),
    ("Pools and workers", WORKERS),
    ("Rollouts", ROLLOUTS),
    ("The daemon", HOST),
)

TABLE: tuple[Metric, ...] = tuple(metric for _, metrics in SECTIONS for metric in metrics)
