"""What an administrator is promised where a connector cannot be read."""

from simulator.graph import ADE
from tests.scenes import NOW


def expect_unread(monitor, run, *parts: str) -> None:
    """Assert everything that an administrator is promised where ADE could not be read in `run`."""
    assert run.outcome == "degraded"

    # The connector's row carries the failure; the others were checked.
    rows = monitor.run_rows(run.id)
    assert {of: row["Outcome"] for of, row in rows.items()} == {
        "ade": "failed",
        "apns": "succeeded",
        "vpp": "succeeded",
        "devices": "succeeded",
        "all": "degraded",
    }
    error = rows["ade"]["Error"]
    for part in (*parts, f"GET {ADE}"):
        assert part in error, error
    assert (rows["apns"]["Error"], rows["vpp"]["Error"], rows["all"]["Error"]) == (None, None, None)
    assert (rows["all"]["Rows"], rows["all"]["Tokens"]) == (len(monitor.published(run.id)), 3)
    stored = monitor.runs()[-1]
    assert (stored["RunId"], stored["Outcome"]) == (run.id, "degraded")
    assert stored["Connectors"] == {"ade": {"error": error}, "apns": {"tokens": 1}, "vpp": {"tokens": 1}}

    # The stored findings are published again, with `unread` beside them, and stored like that.
    assert monitor.found(run.id) == {
        ("Contoso HQ", "expiring", "warning", "14 days or less"): 1,
        ("Contoso HQ", "sync_stale", "warning", "begun"): 1,
        ("Contoso HQ", "unread", "unknown", "none"): 1,
    }
    assert {row["Health"] for row in monitor.published(run.id) if row["Connector"] == "ade"} == {"unknown"}
    assert list(monitor.stored()) == ["unread", "expiring", "sync_stale"]
    status = monitor.statuses()["ade", "Contoso HQ"]
    assert (status["Health"], status["ObservedOn"], status["CheckedOn"]) == ("unknown", NOW, monitor.now)
    assert monitor.stored()["expiring"]["since"].startswith(f"{NOW:%Y-%m-%dT%H:%M}")
    assert {status["Health"] for (of, _), status in monitor.statuses().items() if of != "ade"} == {"healthy"}
    assert {status["CheckedOn"] for status in monitor.statuses().values()} == {monitor.now}

    # It is no change of the token, and no alert of its own.
    assert len(monitor.history()) == 3
    assert monitor.firing() == [
        ("token_warning", "Contoso HQ", "ade", "expiring", "expires 2026-12-03 (14 days or less)"),
        ("token_warning", "Contoso HQ", "ade", "sync_stale", "no successful sync since 2026-11-21 13:07 UTC"),
    ]
