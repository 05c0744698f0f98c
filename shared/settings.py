"""Declares the app settings, each once, and validates them, reporting all problems together.

A test compares the README's table, `local.settings.sample.json`, and Bicep with `SETTINGS`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from shared.clouds import CLOUDS, Cloud
from shared.model.tokens import Connector

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_LONGEST_RUN: Final = 570
"""Seconds; the host ends an invocation after `functionTimeout` of host.json (10 minutes)."""
_LONGEST_DAYS: Final = 3_650
_LOOKS_SECRET: Final = re.compile(r"sig=|key=|secret|password|token=|eyJ|//[^/]*@", re.IGNORECASE)


class SettingsError(ValueError):
    """Reports settings that cannot be used: one sentence for each problem, and the names of the settings."""

    def __init__(self, problems: Iterable[str], names: Iterable[str]) -> None:
        self.problems = tuple(problems)
        self.names = tuple(names)
        super().__init__("The app settings cannot be used. " + " ".join(self.problems))


class Setting(NamedTuple):
    """An app setting. `default` replaces a missing value; `parse` raises ValueError for one that is not `expected`."""

    name: str
    default: str | None
    parse: Callable[[str], object]
    expected: str
    about: str
    required: bool = False


def _shown(text: str) -> str:
    if _LOOKS_SECRET.search(text):
        return "not shown, since it looks like a secret"
    return repr(text if len(text) <= 100 else text[:99] + "…")


def _url(text: str, *, path: bool) -> str:
    url = urlsplit(text)
    if not text.isprintable() or " " in text:
        raise ValueError
    loopback = url.hostname in LOOPBACK
    if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and loopback)):
        raise ValueError
    if url.username is not None or url.query or url.fragment or (url.path.strip("/") and not path):
        raise ValueError
    _ = url.port  # raises ValueError if it is not a port
    return text.rstrip("/")


def _root(text: str) -> str:
    return _url(text, path=False).lower()


def _account(text: str) -> str:
    return _url(text, path=True)


def _word(text: str) -> str:
    if not re.fullmatch(r"[\w.-]{1,100}", text, re.ASCII):
        raise ValueError
    return text


def _cloud(text: str) -> str:
    if text not in CLOUDS:
        raise ValueError
    return text


def _connectors(text: str) -> frozenset[Connector]:
    return frozenset(Connector(part.strip().lower()) for part in text.split(","))


def _whole(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else -1
        if not minimum <= number <= maximum:
            raise ValueError
        return number

    return parse


def _descending_days(text: str) -> tuple[int, ...]:
    days = tuple(_whole(1, _LONGEST_DAYS)(part.strip()) for part in text.split(","))
    if list(days) != sorted(set(days), reverse=True):
        raise ValueError
    return days


def _names(text: str) -> Mapping[int, str]:
    names: dict[int, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        code, equals, name = part.partition("=")
        number, name = int(code), name.strip()
        if not equals or not 0 < len(name) <= 60 or not name.isprintable() or number in {0, 3} or number in names:
            raise ValueError
        if not -(2**31) <= number < 2**31:
            raise ValueError
        names[number] = name
    return names


def _schedule(text: str) -> str:
    if not re.fullmatch(r"([\d*/,-]+ ){3}[\w*/,-]+ [\w*/,-]+ ?([\w*/,-]+)?", text, re.ASCII) or len(text.split()) != 6:
        raise ValueError
    return text


def _switch(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError
    return text.lower() == "true"


_DAYS = "whole days, largest first, such as"
_HOURS = _whole(1, 24 * _LONGEST_DAYS)
_NCRONTAB = "six NCRONTAB fields (second minute hour day month weekday), UTC"


def _setting(
    default: str | None, parse: Callable[[str], object], expected: str, about: str, *, required: bool = False
) -> Any:  # noqa: ANN401 # the annotation beside each use is the type of what `parse` returns; a test compares them
    return field(metadata={"setting": (default, parse, expected, about, required)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The parsed settings. An attribute has the setting's name in lower case."""

    # fmt: off
    tables_endpoint: str = _setting(None, _account, "an address such as https://<account>.table.core.windows.net", "The Table Storage that holds status, history, and runs.", required=True)
    logs_ingestion_endpoint: str = _setting(None, _root, "the data collection rule's https address for logs ingestion", "The endpoint that receives the rows for the alert rules.", required=True)
    logs_ingestion_rule_id: str = _setting(None, _word, "the rule's immutable id, dcr- and 32 digits", "The data collection rule that receives the rows for the alert rules.", required=True)
    tenant_id: str = _setting(None, _word, "the Entra tenant's id, a GUID", "The Entra tenant. Every row for the alert rules names it.", required=True)
    deployment: str = _setting(None, _word, "the deployment's output DEPLOYMENT", "The deployment. Every row for the alert rules names it, because a workspace can hold rows of several deployments.", required=True)
    azure_client_id: str | None = _setting(None, _word, "a GUID", "The client ID of the user-assigned identity. In Azure, `AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential` restricts the credential to this identity.")
    graph_endpoint: str = _setting("https://graph.microsoft.com", _root, "an https address without a path", "The endpoint of Microsoft Graph in the Azure cloud.")
    azure_cloud: str = _setting("AzureCloud", _cloud, "AzureCloud, AzureUSGovernment or AzureChinaCloud", "The Azure cloud. It determines the audiences of access tokens and the consoles that links lead to.")
    connectors: frozenset[Connector] = _setting("ade,apns,vpp", _connectors, "a list of ade, apns and vpp", "The connectors to check. The next check removes the statuses of a connector that is not listed.")
    expiry_warning_days: tuple[int, ...] = _setting("60,30,14", _descending_days, f"{_DAYS} 60,30,14", "Days before an expiry at which the finding is a warning and reaches a new step.")
    expiry_critical_days: tuple[int, ...] = _setting("7,1", _descending_days, f"{_DAYS} 7,1, all smaller than the warning days", "Days before an expiry at which the finding is critical and reaches a new step.")
    sync_stale_warning_hours: int = _setting("36", _HOURS, "whole hours, at least 1", "ADE: hours without a successful sync before the finding is a warning.")
    sync_stale_critical_hours: int = _setting("72", _HOURS, "whole hours, not fewer than the warning's", "ADE: hours without a successful sync before the finding is critical.")
    vpp_sync_stale_warning_hours: int = _setting("48", _HOURS, "whole hours, at least 1", "VPP: hours without a successful sync before the finding is a warning.")
    vpp_sync_stale_critical_hours: int = _setting("96", _HOURS, "whole hours, not fewer than the warning's", "VPP: hours without a successful sync before the finding is critical.")
    sync_error_critical_hours: int = _setting("24", _whole(0, 24 * _LONGEST_DAYS), "whole hours", "ADE: hours that a sync error lasts before the finding is critical.")
    sync_error_names: Mapping[int, str] = _setting("", _names, "codes and names such as 5=Access denied;9=Invalid cursor, without the codes 0 and 3", "Your names for the codes of ADE sync errors.")
    change_days: int = _setting("7", _whole(1, _LONGEST_DAYS), "whole days, at least 1", "Days for which a finding about a change is reported.")
    devices_dropped_percent: int = _setting("50", _whole(1, 100), "a whole number from 1 to 100", "The loss of synced devices, in percent, that is a finding.")
    devices_dropped_minimum: int = _setting("10", _whole(1, 1_000_000), "a whole number, at least 1", "The number of devices before the loss from which `DEVICES_DROPPED_PERCENT` applies. A drop to 0 is always a finding.")
    check_schedule: str = _setting("0 7 * * * *", _schedule, _NCRONTAB, "When `check_tokens` runs. The alert rules expect an hourly check.")
    inspect_schedule: str = _setting("0 37 * * * *", _schedule, _NCRONTAB, "When `inspect_devices` runs.")
    prune_schedule: str = _setting("0 17 3 * * *", _schedule, _NCRONTAB, "When `prune_history` runs.")
    check_timeout_seconds: int = _setting("240", _whole(1, _LONGEST_RUN), f"whole seconds from 1 to {_LONGEST_RUN}", "Time limit of one check; reading ends at half of it.")
    inspect_timeout_seconds: int = _setting("540", _whole(1, _LONGEST_RUN), f"whole seconds from 1 to {_LONGEST_RUN}", "Time limit of one run of the inspection.")
    history_retention_days: int = _setting("400", _whole(1, _LONGEST_DAYS), "whole days, at least 1", "Days for which history and runs are kept.")
    inspect_every_hours: int = _setting("24", _whole(0, 24 * _LONGEST_DAYS), "whole hours; 0 for every run", "Inspection: hours after which a token is due again. Keep it below 48, because an older inspection counts as missing.")
    device_contact_days: int = _setting("30", _whole(1, _LONGEST_DAYS), "whole days, at least 1", "Inspection: days without contact after which a device counts as not contacted.")
    device_examples: int = _setting("20", _whole(0, 100), "a whole number from 0 to 100", "Inspection: serial numbers to keep for each symptom; 0 keeps none.")
    devices_without_profile_minimum: int = _setting("1", _whole(1, 1_000_000), "a whole number, at least 1", "Inspection: waiting devices without a profile from which there is a finding.")
    enrollment_failing_minimum: int = _setting("3", _whole(1, 1_000_000), "a whole number, at least 1", "Inspection: failed or blocked devices from which there is a finding, if they also are `ENROLLMENT_FAILING_PERCENT` of all.")
    enrollment_failing_percent: int = _setting("5", _whole(1, 100), "a whole number from 1 to 100", "Inspection: the share of all devices, in percent, that is required for the same finding.")
    enrollment_events: bool = _setting("false", _switch, "true or false", "Inspection: also reads Intune's failure events, which requires another Graph role.")
    # fmt: on

    @property
    def cloud(self) -> Cloud:
        """Return the cloud that the app runs in."""
        return CLOUDS[self.azure_cloud]

    @property
    def graph_audience(self) -> str:
        """Return the audience of access tokens for Graph: the endpoint if it is one of the cloud's roots."""
        return self.graph_endpoint if self.graph_endpoint in self.cloud.graph else self.cloud.graph[0]

    def stale_after(self, connector: Connector) -> tuple[timedelta, timedelta]:
        """Return the warning and critical limits for the time since a connector's last successful sync."""
        warning, critical = (
            (self.vpp_sync_stale_warning_hours, self.vpp_sync_stale_critical_hours)
            if connector is Connector.VPP
            else (self.sync_stale_warning_hours, self.sync_stale_critical_hours)
        )
        return timedelta(hours=warning), timedelta(hours=critical)

    @staticmethod
    def load(environment: Mapping[str, str]) -> "Settings":
        """Return the settings in `environment`, where an empty value is an absent one.

        A SettingsError names every setting that is missing or cannot be used.
        """
        parsed: dict[str, object] = {}
        problems: dict[str, str] = {}
        for setting in SETTINGS:
            text = environment.get(setting.name, "").strip() or setting.default
            try:
                parsed[setting.name.lower()] = None if text is None else setting.parse(text)
            except ValueError:
                problems[setting.name] = f"{setting.name} is {_shown(text or '')}; expected: {setting.expected}."
                parsed[setting.name.lower()] = setting.default and setting.parse(setting.default)
            else:
                if text is None and setting.required:
                    problems[setting.name] = f"{setting.name} is missing; expected: {setting.expected}."
        settings = Settings(**parsed)  # type: ignore[arg-type] # the table gives each its type; a test compares
        contradictions = {
            names: sentence for names, sentence in _contradictions(settings) if not names & problems.keys()
        }
        if problems or contradictions:
            wrong = problems.keys() | set().union(*contradictions)
            names = [setting.name for setting in SETTINGS if setting.name in wrong]
            raise SettingsError([*problems.values(), *contradictions.values()], names)
        return settings


SETTINGS: Final = tuple(Setting(one.name.upper(), *one.metadata["setting"]) for one in fields(Settings))
"""The settings, in the order of the documents."""

BY_NAME: Final[Mapping[str, Setting]] = {setting.name: setting for setting in SETTINGS}
"""The settings by name."""


def _contradictions(settings: Settings) -> Iterator[tuple[frozenset[str], str]]:
    """Yield contradictions between settings, with their names: limits out of order, an endpoint of another cloud."""
    if settings.expiry_critical_days[0] >= settings.expiry_warning_days[-1]:
        yield (
            frozenset({"EXPIRY_CRITICAL_DAYS", "EXPIRY_WARNING_DAYS"}),
            (
                f"EXPIRY_CRITICAL_DAYS is {settings.expiry_critical_days[0]} at most and EXPIRY_WARNING_DAYS "
                f"{settings.expiry_warning_days[-1]} at least; expected: critical days smaller than every warning day."
            ),
        )
    for prefix, connector in (("", Connector.ADE), ("VPP_", Connector.VPP)):
        warning, critical = settings.stale_after(connector)
        if critical < warning:
            hours = timedelta(hours=1)
            yield (
                frozenset({f"{prefix}SYNC_STALE_CRITICAL_HOURS", f"{prefix}SYNC_STALE_WARNING_HOURS"}),
                (
                    f"{prefix}SYNC_STALE_CRITICAL_HOURS is {critical // hours}, {prefix}SYNC_STALE_WARNING_HOURS "
                    f"{warning // hours}; expected: the critical limit not below the warning's."
                ),
            )
    others = {root: name for name, cloud in CLOUDS.items() for root in cloud.graph if name != settings.azure_cloud}
    if other := others.get(settings.graph_endpoint):
        yield (
            frozenset({"GRAPH_ENDPOINT", "AZURE_CLOUD"}),
            (
                f"GRAPH_ENDPOINT is {settings.graph_endpoint!r}, which belongs to {other}, and AZURE_CLOUD is "
                f"{settings.azure_cloud!r}; expected: both of one cloud, such as {settings.cloud.graph[0]}."
            ),
        )
