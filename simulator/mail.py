"""Makes what Azure Monitor sends for a log alert: the payload in the common alert schema, and the email's subject.

https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-payload-samples ("Log Alerts V2", November 2026)
"""

import re
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from simulator.rules import WINDOW, Event, Rule

SUBSCRIPTION: Final = "/subscriptions/11111111-1111-4111-8111-111111111111"
_WORKSPACE: Final = f"{SUBSCRIPTION}/resourcegroups/rg/providers/microsoft.operationalinsights/workspaces/log"

_FILLED_IN: Final = re.compile(r"\$\{([^}]*)\}")
_STEP: Final = re.compile(r"\w+")


def payload(rule: Rule, event: Event) -> dict[str, Any]:
    """Return the JSON that an action group receives for `event`, an alert of `rule` that fired or resolved.

    Links to search results are omitted, because only Azure can make them.
    """
    alert = uuid5(NAMESPACE_URL, repr((rule.name, event.alert.dimensions, event.fired_on)))
    resolved = {"resolvedDateTime": _instant(event.on)} if event.kind == "resolved" else {}
    sent: dict[str, Any] = {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": f"{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/{alert}",
                "alertRule": rule.name,
                "severity": f"Sev{rule.severity}",
                "signalType": "Log",
                "monitorCondition": event.kind.capitalize(),
                "monitoringService": "Log Alerts V2",
                "alertTargetIDs": [_WORKSPACE],
                "configurationItems": [_WORKSPACE],
                "originAlertId": str(alert),
                "firedDateTime": _instant(event.fired_on),
                **resolved,
                "description": rule.description,
                "essentialsVersion": "1.0",
                "alertContextVersion": "1.0",
            },
            "alertContext": {
                "conditionType": "LogQueryCriteria",
                "condition": {
                    "windowSize": f"P{WINDOW.days}D",
                    "allOf": [_criterion(rule, event)],
                    "windowStartTime": _instant(event.on - WINDOW),
                    "windowEndTime": _instant(event.on),
                },
            },
        },
    }
    properties = {name: _filled(text, sent) for name, text in rule.properties}
    sent["data"]["alertContext"]["properties"] = sent["data"]["customProperties"] = properties
    return sent


def _criterion(rule: Rule, event: Event) -> dict[str, Any]:
    return {
        "searchQuery": rule.kql,
        "metricMeasureColumn": "Tokens",
        "targetResourceTypes": "['Microsoft.OperationalInsights/workspaces']",
        "operator": "GreaterThan",
        "threshold": "0",
        "timeAggregation": "Total",
        "dimensions": [{"name": name, "value": event.alert.dimensions[name]} for name in rule.dimensions],
        "metricValue": 1.0 if event.kind == "fired" else 0.0,
        "failingPeriods": {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1},
    }


def subject(rule: Rule, event: Event) -> str:
    """Return the subject of the email that reports `event`: the template of `rule`, filled in from the payload.

    Raises:
        LookupError: if the template names a path that the payload does not contain.

    """
    return _filled(rule.subject, payload(rule, event))


def _filled(template: str, sent: dict[str, Any]) -> str:
    """Return `template` with each path replaced by its value in `sent`; a path in a value is not replaced."""
    return _FILLED_IN.sub(lambda path: str(_at(sent, path[1])), template)


def _at(value: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the part of `value` at a path such as `data.alertContext.condition.allOf[0]`."""
    for step in _STEP.findall(path):
        value = value[int(step) if step.isdecimal() else step]
    return value


def _instant(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
