"""The keeper: the workers' parent, one small process per instance, that outlives the daemon and decides nothing.

It starts what the daemon tells it to start, holds each run's pidfd, output pipe and notify socket, reaps every child
(it is the subreaper, so orphans too) and keeps exit statuses until the daemon says that a run may be forgotten.
It needs the standard library only, imports nothing else of this package, and is run as a program of its own:
`python -I -S .../fleetd/keeper/__main__.py SOCKET_FD INSTANCE SOFT_NOFILE`.

Protocol 1, on a SOCK_SEQPACKET unix socket: one JSON object a packet, descriptors beside it (SCM_RIGHTS).
Requests name a "verb": hello, environ, enter, spawn, hold, forget, quit.  A body too large for a packet follows in a
memfd.  A worker's environment is that of the last `environ`, under its own `env`.
Reports name an "event": hello (followed by one `held` for each run), born, spawned, spawn-failed, exited, refused.
`born`: a forked child that is on its way to what it is to run; `spawned` or `spawn-failed` follows.
`enter`: the next run is to be born in this cgroup, so that moving there is done before it is needed.
A run's descriptors come in the order of the report's "fds": pidfd, output, notify.  To a keeper whose hello says that
it `takes` them, a daemon gives a run's pipe and socket with the request (its "fds": output, writer, notify), after the
memfd if there is one; `spawned` has only the pidfd then.
"""

PROTOCOL = 1
PACKET_BYTES = 65536  # larger bodies come in a memfd
NEEDS_FORK = ("uid", "gid", "groups", "limits", "nice", "affinity", "env_file")  # what vfork cannot change
FD_ORDER = ("pidfd", "output", "notify")
WRITER = "writer"  # the worker's end of its output pipe
ENDS = ("output", WRITER, "notify")
MOST_FDS = 1 + len(ENDS)  # in a packet
