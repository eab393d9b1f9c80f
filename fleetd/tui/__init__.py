"""The live view of `fleetd status`: pictures drawn on a terminal, and what keys do."""
