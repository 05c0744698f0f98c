"""Where things are: what options say, else the environment, else the environment that azd keeps for the project.

azd notes the outputs of infra/main.bicep in `.azure/<environment>/.env`, under the names of the app settings.
"""

import json
import re
from collections.abc import Iterator, Mapping
from io import StringIO
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


ABOUT: Final[Mapping[str, str]] = {
    "TABLES_ENDPOINT": "the address of the tables, such as https://<account>.table.core.windows.net",
    "LOGS_INGESTION_ENDPOINT": "the data collection rule's address for logs ingestion",
    "LOGS_INGESTION_RULE_ID": "the data collection rule's immutable id",
    "TENANT_ID": "the Entra tenant's id",
    "DEPLOYMENT": "the deployment's output DEPLOYMENT, which its rows carry",
    "GRAPH_ENDPOINT": "the address of Microsoft Graph",
    "AZURE_CLOUD": "the Azure cloud",
    "RESOURCE_GROUP": "the resource group's name",
    "FUNCTION_APP_ID": "the function app's resource id",
    "IDENTITY_NAME": "the name of the app's identity",
    "IDENTITY_RESOURCE_ID": "the resource id of the app's identity",
    "IDENTITY_CLIENT_ID": "the client id of the app's identity",
    "IDENTITY_PRINCIPAL_ID": "the principal id of the app's identity",
    "WORKBOOK_URL": "the workbook's address",
    "ARM_ENDPOINT": "the address of Azure Resource Manager, where it is not the cloud's usual one",
    "ENROLLMENT_EVENTS": "whether the inspection reads Intune's failure events",
    "SYNC_ERROR_NAMES": "the tenant's own names for sync errors",
    "EXPIRY_WARNING_DAYS": "the days before an expiry that bring a warning",
    "EXPIRY_CRITICAL_DAYS": "the days before an expiry that bring a critical finding",
}
"""The places that commands may ask for."""

_ALSO: Final = {"TENANT_ID": "AZURE_TENANT_ID"}
"""Other names of the same."""

_HOST: Final = re.compile(r"[a-z0-9.-]+")
_ESCAPED: Final = re.compile(r"\\([!$`])")
"""What azd's library, joho/godotenv, escapes in addition to what python-dotenv reads."""


class Place(NamedTuple):
    """A value, and where it was found."""

    name: str
    value: str
    source: str
    """Where it was found: `the option --tables-endpoint`, `azd's environment contoso`."""
    from_azd: bool = False


class Places:
    """What is known of a deployment."""

    def __init__(self, found: Mapping[str, Place], azd: "_Azd") -> None:
        self._found = found
        cloud = found["AZURE_CLOUD"].value if "AZURE_CLOUD" in found else "AzureCloud"
        self.elsewhere = [place for place in found.values() if not _belongs_to(cloud, place)]
        """The places that get a bearer token, and whose host is neither the cloud's nor this machine."""
        self.azd = azd.about
        """Which environment of azd was read, or why none was; a part of a sentence."""
        self.azd_environment = azd.name
        """Its name; empty if none was read."""

    @staticmethod
    def find(
        options: Mapping[str, str | None], environ: Mapping[str, str], folder: Path, *, environment: str | None = None
    ) -> "Places":
        """Search everywhere for everything; an empty value counts as absent.

        Args:
            options: the values of the command line, by the place's name.
            environ: the variables, usually `os.environ`.
            folder: where to search for azd's project: there, or in a folder above.
            environment: the name of azd's environment; without it `AZURE_ENV_NAME` or azd's default.

        Raises:
            CommandError: if `environment` was named and azd has none of that name, its files cannot be read, or
                they name a host that is not one of the cloud's: anybody may have written a file of the current folder.

        """
        azd = _azd(folder, environment, environ)
        found = ((name, _find(name, options, environ, azd)) for name in ABOUT)
        places = Places({name: place for name, place in found if place}, azd)
        for place in places.elsewhere:
            if place.from_azd:
                raise CommandError(
                    f"{place.name} is not used: {place.source} names {bounded(place.value, 100)!r}, which is not a "
                    "host of the cloud, and your sign-in would be sent there.",
                    f"If the address is right, name it with {option(place.name)} or in the variable {place.name}.",
                )
        return places

    def __iter__(self) -> Iterator[Place]:
        return iter(self._found.values())

    def get(self, name: str) -> Place | None:
        """Return the place, if it was found."""
        return self._found.get(name)

    def value(self, name: str) -> str | None:
        """Return its value, if it was found."""
        place = self._found.get(name)
        return place.value if place else None

    def required(self, name: str) -> str:
        """Return its value, as the app would take it.

        Raises:
            CommandError: if it was not found, or is not what is expected.

        """
        if name not in self._found:
            raise CommandError(
                f"{name} is not known: {ABOUT[name]}.",
                f"Name it with {option(name)} or in the variable {name}, or run this in the folder of an azd project "
                f"that was deployed ({self.azd}).",
            )
        return self.checked(name, "")

    def checked(self, name: str, default: str) -> str:
        """Return its value, as the app would take it; `default` where it was not found.

        Raises:
            CommandError: if it is not what is expected.

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


def _find(name: str, options: Mapping[str, str | None], environ: Mapping[str, str], azd: "_Azd") -> Place | None:
    names = (name, _ALSO.get(name, name))
    places = (
        Place(name, options.get(name) or "", f"the option {option(name)}"),
        *(Place(name, environ.get(one, ""), f"the variable {one}") for one in names),
        *(Place(name, azd.values.get(one, ""), f"azd's environment {azd.name}", from_azd=True) for one in names),
    )
    return next((one._replace(value=one.value.strip()) for one in places if one.value.strip()), None)


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
    """Return the option that names a place."""
    return f"--{name.lower().replace('_', '-')}"


class _Azd(NamedTuple):
    """An environment of azd."""

    name: str
    values: Mapping[str, str]
    about: str


class _NoEnvironmentError(Exception):
    """Reports why azd has no environment to read."""


def _azd(folder: Path, named: str | None, environ: Mapping[str, str]) -> _Azd:
    try:
        return _read_azd(folder.absolute(), named or environ.get(ENVIRONMENT_NAME))
    except _NoEnvironmentError as error:
        if named:
            sentence = f"There is no environment {bounded(named, 100)!r}: {error}."
            raise CommandError(sentence, "`azd env list` names them.") from None
        return _Azd("", {}, str(error))
    except (OSError, ValueError) as error:
        raise CommandError(
            f"What azd keeps of the project cannot be read: {bounded(str(error))}.",
            "Run `azd env list`, and correct or delete the file in .azure that it names.",
        ) from error


def _read_azd(folder: Path, name: str | None) -> _Azd:
    # azd itself knows a project by this file; ~/.azure belongs to the Azure CLI.
    project = next((one for one in (folder, *folder.parents) if (one / "azure.yaml").is_file()), None)
    if project is None:
        raise _NoEnvironmentError("no azure.yaml is here or in a folder above")
    config = project / ".azure" / "config.json"
    if name is None and config.is_file():
        content = json.loads(config.read_bytes())
        name = content.get("defaultEnvironment") if isinstance(content, dict) else None
    if not name:
        raise _NoEnvironmentError(f"azd has no default environment in {project}")
    file = project / ".azure" / name / ".env"
    if not re.fullmatch(r"\w[\w().-]*", name) or not file.is_file():
        raise _NoEnvironmentError(f"azd has no environment {bounded(name, 100)!r} in {project}")
    values = dotenv_values(stream=StringIO(file.read_text("utf-8-sig")), interpolate=False)
    unescaped = {key: _ESCAPED.sub(r"\1", value or "") for key, value in values.items()}
    return _Azd(name, unescaped, f"azd's environment is {name}")
