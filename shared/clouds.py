"""Lists the facts that differ between Azure clouds: audiences of access tokens, known hosts, and consoles."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Cloud(NamedTuple):
    """An Azure cloud. Hosts are names, or suffixes that begin with a dot; everything else is an address."""

    graph: tuple[str, ...]
    """Graph's roots; the first is the default. https://learn.microsoft.com/graph/deployments"""
    logs: str
    """The audience of log ingestion. https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview"""
    log_hosts: tuple[str, ...]
    table_hosts: tuple[str, ...]
    """https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure,
    https://learn.microsoft.com/azure/china/resources-developer-guide"""
    arm: str
    """Azure Resource Manager, and the audience of its access tokens."""
    portal: str
    """The Azure portal."""
    intune: str
    """The Intune admin center. https://learn.microsoft.com/intune/fundamentals/endpoints-us-government,
    https://learn.microsoft.com/intune/fundamentals/endpoints-china"""
    tables: str = "https://storage.azure.com"


CLOUDS: Final[Mapping[str, Cloud]] = {
    "AzureCloud": Cloud(
        graph=("https://graph.microsoft.com",),
        logs="https://monitor.azure.com",
        log_hosts=(".ingest.monitor.azure.com",),
        table_hosts=(".table.core.windows.net", ".table.storage.azure.net"),
        arm="https://management.azure.com",
        portal="https://portal.azure.com",
        intune="https://intune.microsoft.com",
    ),
    "AzureUSGovernment": Cloud(
        graph=("https://graph.microsoft.us", "https://dod-graph.microsoft.us"),
        logs="https://monitor.azure.us",
        log_hosts=(".ingest.monitor.azure.us",),
        table_hosts=(".table.core.usgovcloudapi.net",),
        arm="https://management.usgovcloudapi.net",
        portal="https://portal.azure.us",
        intune="https://intune.microsoft.us",
    ),
    "AzureChinaCloud": Cloud(
        graph=("https://microsoftgraph.chinacloudapi.cn",),
        logs="https://monitor.azure.cn",
        log_hosts=(".ingest.monitor.azure.cn",),
        table_hosts=(".table.core.chinacloudapi.cn",),
        arm="https://management.chinacloudapi.cn",
        portal="https://portal.azure.cn",
        intune="https://intune.microsoftonline.cn",
    ),
}
"""The clouds by Azure's names for them, which are the values of the setting `AZURE_CLOUD`."""
