"""The other end of the control socket."""
