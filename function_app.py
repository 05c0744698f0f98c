"""The timers: wiring, nothing else."""

import logging
import os
from datetime import UTC, datetime, timedelta

import azure.functions as func

from shared.check import CheckFailed, check
from shared.clients import open_clients
from shared.guidance.guidance import Guidance
from shared.http.quiet import quiet
from shared.inspection import inspect
from shared.model.runs import Outcome
from shared.settings import Settings
from shared.storage.store import Store

app = func.FunctionApp()
_log = logging.getLogger(__name__)
quiet()  # the host's library would log each function


@app.function_name("check_tokens")
@app.timer_trigger(schedule="%CHECK_SCHEDULE%", arg_name="timer", run_on_startup=False, use_monitor=True)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:01:00")
async def check_tokens(timer: func.TimerRequest, context: func.Context) -> None:
    """Check every token once.

    Raises:
        SettingsError: where a setting cannot be used; nothing was called.
        CheckFailed: where the run was not whole; the host runs it again.

    """
    now = datetime.now(UTC)
    settings = Settings.load(os.environ)
    async with open_clients(settings, now=now) as clients:
        run = await check(settings, clients, run_id=context.invocation_id, now=now, past_due=timer.past_due)
    if run.outcome is Outcome.FAILED:
        errors = " ".join(filter(None, (run.store_error, run.publish_error)))
        raise CheckFailed(f"The check was not whole. {errors}")


@app.function_name("inspect_devices")
@app.timer_trigger(schedule="%INSPECT_SCHEDULE%", arg_name="timer", run_on_startup=False, use_monitor=True)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:01:00")
async def inspect_devices(timer: func.TimerRequest, context: func.Context) -> None:  # noqa: ARG001 # as below
    """Inspect the devices of the ADE tokens that are due.

    Raises:
        SettingsError: where a setting cannot be used; nothing was called.
        StoreError: where what is remembered could not be read, or what was found could not be kept.

    """
    now = datetime.now(UTC)
    settings = Settings.load(os.environ)
    async with open_clients(settings, now=now) as clients:
        await inspect(settings, clients, run_id=context.invocation_id, now=now)


@app.function_name("prune_history")
@app.timer_trigger(schedule="%PRUNE_SCHEDULE%", arg_name="timer", run_on_startup=False, use_monitor=True)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:01:00")
async def prune_history(timer: func.TimerRequest) -> None:  # noqa: ARG001 # the host fills it by this name
    """Delete history and runs that are older than the retention, and inspections of tokens that have left.

    Raises:
        SettingsError: where a setting cannot be used; nothing was called.
        StoreError: where some rows could not be deleted.

    """
    settings = Settings.load(os.environ)
    before = datetime.now(UTC) - timedelta(days=settings.history_retention_days)
    async with open_clients(settings) as clients:
        deleted = await Store(clients.tables, clients.transactions, Guidance()).prune(before)
    _log.info("prune_history deleted %s rows from before %s", deleted, before.date())
