"""All effects: processes, output, sockets, files and the clock.  No decision is taken here."""
