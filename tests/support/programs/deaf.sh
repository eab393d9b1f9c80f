#!/bin/sh
# Ignores TERM, as do its child, which holds the pipe.
trap '' TERM INT HUP
sleep 1000 &
echo deaf
while :; do wait; done
