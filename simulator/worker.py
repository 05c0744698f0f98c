"""Runs one function of an app in the Functions worker's own runtime, in a process of its own.

    python -m simulator.worker APP_DIR [FUNCTION] [--past-due] [--timer=JSON] [--invocation=ID] [--runtime=FOLDER]

One line of JSON goes to standard output: see `simulator.host.WorkerResult`. The app's logs and other output go to
standard error. Without FUNCTION, the functions are only listed. The runtime keeps global state, so it has its own
process. `simulator.host` starts it with the real host's search path: the app's packages first, its folder last. FOLDER
is where the runtime is installed, for a Python that has no packages; only the runtime is imported from there.

The startup is measured, so this module imports only what the runtime imports anyway.
"""

import asyncio
import json
import logging
import os
import sys
import time
import traceback
import uuid
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

type Json = dict[str, Any]

_PROCESS_STARTED: Final = time.perf_counter()


class _Message(SimpleNamespace):
    """Replaces a protobuf message: its arguments are its fields."""


class _Runtime:
    """Finds the worker's own packages in the folder where they are installed, and nothing else there."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        is_runtime = name in {"azure_functions_runtime", "azurefunctions"}
        return PathFinder.find_spec(name, [self._folder]) if is_runtime else None


class _StatusResult(_Message):
    Failure = 0
    Success = 1


class _BindingInfo(_Message):
    undefined = 0
    out = 1
    inout = 2


class _Typed(_Message):
    """A TypedData, or the ParameterBinding around one: `kind` names the field that is set."""

    kind: str

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 (protobuf's name)
        return self.kind


_PROTOS: Final = SimpleNamespace(
    BindingInfo=_BindingInfo,
    StatusResult=_StatusResult,
    **dict.fromkeys(
        (
            "FunctionMetadataResponse",
            "InvocationResponse",
            "RpcException",
            "RpcFunctionMetadata",
            "RpcRetryOptions",
            "WorkerInitResponse",
            "WorkerMetadata",
        ),
        _Message,
    ),
)


def timer_payload(*, past_due: bool, now: datetime | None = None) -> Json:
    """Return what the host sends when an hourly timer fires: `Next` is the current occurrence, `Last` the prior one."""
    due = (now or datetime.now(UTC)).replace(second=0, microsecond=0)
    last = (due - timedelta(hours=1)).isoformat()
    return {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": {"Last": last, "Next": due.isoformat(), "LastUpdated": last},
        "IsPastDue": past_due,
    }


async def _work(app: Path, function: str | None, timer: Json, invocation: str) -> Json:
    indexing = time.perf_counter()
    from azure_functions_runtime import handle_event as runtime  # noqa: PLC0415 (its import is part of the startup)

    initial = _Message(capabilities={}, function_app_directory=str(app))
    started = await runtime.worker_init_request(
        _Message(request=_Message(worker_init_request=initial), properties={"protos": _PROTOS, "host": "127.0.0.1"})
    )
    listed = await runtime.functions_metadata_request(_Message())
    metadata = listed.function_metadata_results or []
    result: Json = {
        "functions": [_described(each) for each in metadata],
        "start_ms": _milliseconds(indexing),
        "duration_ms": None,
        **_outcome(started.result),
    }
    if not result["success"] or function is None:
        return result
    ids = {each.name: each.function_id for each in metadata}
    if function not in ids:
        message = f"LookupError: the app has no function {function}; it has {', '.join(sorted(ids)) or 'none'}"
        return {**result, "success": False, "exception": {"message": message, "traceback": ""}}
    bindings = next(each["bindings"] for each in result["functions"] if each["name"] == function)
    trigger = next(binding["name"] for binding in bindings if binding["type"] == "timerTrigger")
    invoking = time.perf_counter()
    answer = await runtime.invocation_request(
        _Message(request=_Message(invocation_request=_invocation(invocation, ids[function], trigger, timer)))
    )
    return {**result, "duration_ms": _milliseconds(invoking), **_outcome(answer.result)}


def _invocation(invocation: str, function_id: str, trigger: str, timer: Json) -> _Message:
    data = _Typed(kind="json", json=json.dumps(timer))
    return _Message(
        invocation_id=invocation,
        function_id=function_id,
        input_data=[_Typed(kind="data", name=trigger, data=data)],
        trigger_metadata={},
        trace_context=_Message(trace_parent="", trace_state="", attributes={}),
        retry_context=_Message(retry_count=0, max_retry_count=0, exception=None),
    )


def _described(metadata: _Message) -> Json:
    retry = metadata.retry_options
    return {
        "name": metadata.name,
        "bindings": [json.loads(binding) for binding in metadata.raw_bindings],
        "retry": None
        if retry is None
        else {
            name: value.total_seconds() if isinstance(value, timedelta) else value
            for name, value in vars(retry).items()
        },
    }


def _outcome(status: _Message) -> Json:
    if status.status == _StatusResult.Success:
        return {"success": True, "exception": None}
    exception = status.exception
    return {"success": False, "exception": {"message": exception.message, "traceback": exception.stack_trace}}


def _milliseconds(since: float) -> float:
    return round((time.perf_counter() - since) * 1000, 1)


def _peak_kib() -> int | None:
    """Return the most memory that was resident, in KiB; None on Windows.

    On Linux, `ru_maxrss` also counts the parent's memory when it started this process, so the kernel's mark is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1])
    if sys.platform == "win32":
        return None
    else:  # noqa: RET505 # without it, mypy finds what follows unreachable there
        import resource  # noqa: PLC0415 (not on every system)

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak


def _run(work: Coroutine[Any, Any, Json]) -> Json:
    try:
        return asyncio.run(work)
    except BaseException as error:  # noqa: BLE001 (a result must be returned in any case)
        exception = {"message": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        return {"functions": [], "start_ms": None, "duration_ms": None, "success": False, "exception": exception}


def main(arguments: list[str]) -> int:
    """Run the function, print the result, and return 0 if it succeeded and 1 if it did not."""
    options = dict(argument.removeprefix("--").partition("=")[::2] for argument in arguments if argument[:2] == "--")
    given = [argument for argument in arguments if argument[:2] != "--"]
    app = Path(given[0]).resolve()
    # As in the real host, the packages deployed with the app are first and the app's folder is last, so an installed
    # package that has one of the app's names takes precedence.
    packages = app / ".python_packages" / "lib" / "site-packages"
    others = [entry for entry in sys.path if Path(entry).resolve() != app]
    sys.path[:] = [*([str(packages)] if packages.is_dir() else []), *others, str(app)]
    if "runtime" in options:
        sys.meta_path.append(_Runtime(options["runtime"]))
    os.chdir(app)
    with os.fdopen(os.dup(1), "w") as results:
        os.dup2(2, 1)
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
        timer = json.loads(options.get("timer") or "null") or timer_payload(past_due="past-due" in options)
        invocation = options.get("invocation") or str(uuid.uuid4())
        result = _run(_work(app, given[1] if len(given) > 1 else None, timer, invocation))
        result |= {"invocation_id": invocation, "process_ms": _milliseconds(_PROCESS_STARTED), "peak_kib": _peak_kib()}
        results.write(json.dumps(result) + "\n")
    return 0 if result["success"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
