"""One file for each case: what is done, and what is measured of it."""

from __future__ import annotations

from tests.bench.cases import exits, idle, output, replace, restart, start, status, stop, takeover

CASES = {
    module.CASE: module.measure for module in (start, replace, restart, stop, idle, takeover, status, exits, output)
}
