#!/bin/sh
# Starts a daemon in a session of its own, orphaned, and stays.  With "clean", the daemon's environment is empty.
if [ "$1" = clean ]; then
  (setsid env -i sh -c 'echo "daemon $$"; exec sleep 1000' &)
else
  (setsid sh -c 'echo "daemon $$"; exec sleep 1000' &)
fi
exec sleep 1000
