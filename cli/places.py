"""Where things are: what options say, else the environment, else the environment that azd keeps for the project.

azd notes what infra/main.bicep put out in `.azure/<environment>/.env`, under the names that the app settings have, too.
"""

import json
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from dotenv import dotenv_values

from cli import CommandError
from shared.clouds import CLOUDS, Cloud
from shared.settings import BY_NAME, LOOPBACK
from shared.text import bounded

ENVIRONMENT_NAME: Final = "AZURE_ENV_NAME"
"""azd's own variable for the name of an environment."""


class Known(NamedTuple):
    """A place that commands may ask for."""

    name: str
    about: str
    also: tuple[str, ...] = ()
    """Other names of the same."""


KNOWN: Final = (
    Known("TABLES_ENDPOINT", "the address of the tables, such as https://<account>.table.core.windows.net"),
    Known("LOGS_INGESTION_ENDPOINT", "the data collection rule's address for logs ingestion"),
    Known("LOGS_INGESTION_RULE_ID", "the data collection rule's immutable id"),
    Known("TENANT_ID", "the Entra tenant's id", ("AZURE_TENANT_ID",)),
    Known("DEPLOYMENT", "the deployment's output DEPLOYMENT, which its rows carry"),
    Known("GRAPH_ENDPOINT", "the address of Microsoft Graph"),
    Known("AZURE_CLOUD", "the Azure cloud"),
    Known("AZURE_SUBSCRIPTION_ID", "the subscription's id"),
    Known("RESOURCE_GROUP", "the resource group's name"),
    Known("FUNCTION_APP_ID", "the function app's resource id"),
    Known("FUNCTION_APP_NAME", "the function app's name"),
    Known("IDENTITY_NAME", "the name of the app's identity"),
    Known("IDENTITY_RESOURCE_ID", "the resource id of the app's identity"),
    Known("IDENTITY_CLIENT_ID", "the client id of the app's identity"),
    Known("IDENTITY_PRINCIPAL_ID", "the principal id of the app's identity"),
    Known("WORKSPACE_ID", "the Log Analytics workspace's id"),
    Known("WORKBOOK_URL", "the workbook's address"),
    Known("ARM_ENDPOINT", "the address of Azure Resource Manager, where it is not the cloud's usual one"),
    Known("ENROLLMENT_EVENTS", "whether the inspection reads Intune's failure events"),
    Known("SYNC_ERROR_NAMES", "the tenant's own names for sync errors"),
    Known("EXPIRY_WARNING_DAYS", "the days before an expiry that bring a warning"),
    Known("EXPIRY_CRITICAL_DAYS", "the days before an expiry that bring a critical finding"),
)

ABOUT: Final = {known.name: known for known in KNOWN}
"""The same by name."""

_HOST: Final = re.compile(r"[a-z0-9.-]+")
_ESCAPED: Final = re.compile(r"\\([!$`])")
"""What azd's library, joho/godotenv, escapes in addition to what python-dotenv reads."""


class Source(StrEnum):
    """Where a value was found."""

    OPTION = "the option"
    VARIABLE = "the variable"
    AZD = "azd's environment"


class Place(NamedTuple):
    """A value, and where it was found."""

    name: str
    value: str
    kind: Source
    of: str
    """The name of the option, variable or environment."""

    @property
    def source(self) -> str:
        """Return the same in words: `the option --tables-endpoint`, `azd's environment contoso`."""
        return f"{self.kind} {self.of}"


class Places:
    """What is known of a deployment."""

    def __init__(self, found: Mapping[str, Place], azd: str, azd_environment: str) -> None:
        self._found = dict(found)
        cloud = found["AZURE_CLOUD"].value if "AZURE_CLOUD" in found else "AzureCloud"
        self.elsewhere = [place for place in found.values() if not _belongs_to(cloud, place)]
        """The places that get a bearer token, and whose host is neither the cloud's nor this machine."""
        self.azd = azd
        """Which environment of azd was looked into, or why none was; a sentence's part."""
        self.azd_environment = azd_environment
        """Its name; empty where none was."""

    @staticmethod
    def find(
        options: Mapping[str, str | None], environ: Mapping[str, str], folder: Path, *, environment: str | None = None
    ) -> "Places":
        """Look everywhere for everything; an empty value is an absent one.

        Args:
            options: what the command line said, by the place's name.
            environ: the variables, usually `os.environ`.
            folder: where to look for azd's project: there, or in a folder above.
            environment: the name of azd's environment; without it `AZURE_ENV_NAME` or azd's default.

        Raises:
            CommandError: where `environment` was named and azd has none of that name, its files cannot be read, or
                they name a host that is not one of the cloud's: a file of the current folder may be anybody's.

        """
        kept = _Azd.find(folder, environment or environ.get(ENVIRONMENT_NAME), named=bool(environment))
        found: dict[str, Place] = {}
        for name, _, also in KNOWN:
            values = (
                (options.get(name), Source.OPTION, option(name)),
                *((environ.get(one), Source.VARIABLE, one) for one in (name, *also)),
                *((kept.values.get(one), Source.AZD, kept.name) for one in (name, *also)),
            )
            given = (Place(name, value.strip(), kind, of) for value, kind, of in values if value and value.strip())
            found.update({place.name: place for place in islice(given, 1)})
        places = Places(found, kept.told, kept.name)
        for place in places.elsewhere:
            if place.kind is Source.AZD:
                raise CommandError(
                    f"{place.name} is not used: {place.source} names {bounded(place.value, 100)!r}, which is not a "
                    "host of the cloud, and your sign-in would be sent there.",
                    f"If the address is right, name it with {option(place.name)} or in the variable {place.name}.",
                )
        return places

    def __iter__(self) -> Iterator[Place]:
        return iter(self._found.values())

    def get(self, name: str) -> Place | None:
        """The place, if it was found."""
        return self._found.get(name)

    def value(self, name: str) -> str | None:
        """Its value, if it was found."""
        place = self._found.get(name)
        return place.value if place else None

    def required(self, name: str) -> str:
        """Its value, as the app would take it.

        Raises:
            CommandError: where it was not found, or is not what is expected.

        """
        if name not in self._found:
            raise CommandError(
                f"{name} is not known: {ABOUT[name].about}.",
                f"Name it with {option(name)} or in the variable {name}, or run this in the folder of an azd project "
                f"that was deployed ({self.azd}).",
            )
        return self.checked(name, "")

    def checked(self, name: str, default: str) -> str:
        """Its value, as the app would take it; `default` where it was not found.

        Raises:
            CommandError: where it is not what is expected.

        """
        place, setting = self._found.get(name), BY_NAME.get(name)
        if place is None:
            return default
        try:
            if setting:
                setting.parse(place.value)
        except ValueError:
            expected = setting.expected if setting else ""
            raise CommandError(
                f"{name} cannot be used: {place.source} says {bounded(place.value, 100)!r}.", f"Expected: {expected}."
            ) from None
        return place.value.rstrip("/")


def _belongs_to(cloud: str, place: Place) -> bool:
    """Return whether a bearer token may be sent to `place` without a notice; other places get none."""
    suffixes = _hosts(CLOUDS.get(cloud, CLOUDS["AzureCloud"])).get(place.name)
    if suffixes is None:
        return True
    try:
        host = (urlsplit(place.value).hostname or "").lower()
    except ValueError:
        return False
    plain = _HOST.fullmatch(host)  # clients may read anything else as another host than `urlsplit` does
    known = plain and any(host == one or (one[0] == "." and host.endswith(one)) for one in suffixes)
    return host in LOOPBACK or bool(known)


def _hosts(cloud: Cloud) -> Mapping[str, tuple[str, ...]]:
    """Return the hosts of `cloud` that are sent a bearer token, by the place that names one."""
    return {
        "TABLES_ENDPOINT": cloud.table_hosts,
        "LOGS_INGESTION_ENDPOINT": cloud.log_hosts,
        "GRAPH_ENDPOINT": tuple(root.removeprefix("https://") for root in cloud.graph),
        "ARM_ENDPOINT": (cloud.arm.removeprefix("https://"),),
    }


def option(name: str) -> str:
    """The option that names a place."""
    return f"--{name.lower().replace('_', '-')}"


class _Azd(NamedTuple):
    """An environment of azd."""

    name: str
    values: Mapping[str, str]
    told: str

    @staticmethod
    def find(folder: Path, name: str | None, *, named: bool) -> "_Azd":
        try:
            return _Azd._read(folder.absolute(), name, named=named)
        except (OSError, ValueError) as error:
            raise CommandError(
                f"What azd keeps of the project cannot be read: {bounded(str(error))}.",
                "Run `azd env list`, and correct or delete the file in .azure that it names.",
            ) from error

    @staticmethod
    def _read(folder: Path, name: str | None, *, named: bool) -> "_Azd":
        # azd itself knows a project by this file; ~/.azure belongs to the Azure CLI.
        project = next((one for one in (folder, *folder.parents) if (one / "azure.yaml").is_file()), None)
        if project is None:
            return _Azd.none("no azure.yaml is here or in a folder above", name, named=named)
        config = project / ".azure" / "config.json"
        if name is None and config.is_file():
            told = json.loads(config.read_bytes())
            name = told.get("defaultEnvironment") if isinstance(told, dict) else None
        if not name:
            return _Azd.none(f"azd has no default environment in {project}", name, named=named)
        file = project / ".azure" / name / ".env"
        if not re.fullmatch(r"\w[\w().-]*", name) or not file.is_file():
            return _Azd.none(f"azd has no environment {bounded(name, 100)!r} in {project}", name, named=named)
        values = dotenv_values(stream=StringIO(file.read_text("utf-8-sig")), interpolate=False)
        unescaped = {key: _ESCAPED.sub(r"\1", value or "") for key, value in values.items()}
        return _Azd(name, unescaped, f"azd's environment is {name}")

    @staticmethod
    def none(why: str, name: str | None, *, named: bool) -> "_Azd":
        if named:
            raise CommandError(
                f"There is no environment {bounded(str(name), 100)!r}: {why}.", "`azd env list` names them."
            )
        return _Azd("", {}, why)
