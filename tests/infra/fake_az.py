"""Replaces the Azure CLI: `python fake_az.py FOLDER ARGUMENT...`.

It answers from a small model of Azure, FOLDER/azure.json, and adds each call to FOLDER/calls.jsonl. How az answers (tsv
or JSON, its complaints, what a query gives) is as az 2.91 does it. A query that is not listed here is refused, so that
no script passes because of an unintended answer.
"""

import json
import re
import sys
from functools import reduce
from pathlib import Path

GRAPH_APP = "00000003-0000-0000-c000-000000000000"


class ComplaintError(Exception):
    """The error that az writes to stderr before it ends with 1."""


class Azure:
    def __init__(self, folder):
        self.file = folder / "azure.json"
        self.state = json.loads(self.file.read_text())

    def save(self):
        self.file.write_text(json.dumps(self.state))

    def fail(self, call):
        for fault in self.state["faults"]:
            if fault["times"] and re.search(fault["call"], call):
                fault["times"] -= 1
                raise ComplaintError(fault["complaint"])

    def answer(self, command, options):
        """Return the command's JSON, before --query."""
        if command == "cloud show":
            endpoints = {"microsoftGraphResourceId": self.state["graph"], "resourceManager": self.state["manager"]}
            return {"name": self.state["cloud"], "endpoints": endpoints}
        if not self.state["accounts"]:
            raise ComplaintError("Please run 'az login' to setup account.")
        if command == "account show":
            return self.account(options.get("--subscription"))
        if command == "rest":
            # az takes Python's quotes, too.
            body = options.get("--body", "null").replace("'", '"')
            return self.rest(options["--method"], options["--url"], json.loads(body))
        return getattr(self, command.replace(" ", "_").replace("-", "_"))(options)

    def account(self, subscription):
        for account in self.state["accounts"]:
            if subscription in (None, account["id"], account["name"]):
                return account
        raise ComplaintError(f"Subscription '{subscription}' not found. Check the spelling and casing and try again.")

    def account_get_access_token(self, options):
        assert options["--resource-type"] == "arm"
        account = self.account(options.get("--subscription"))
        return {"accessToken": self.state["token"], "subscription": account["id"], "expires_on": 4102444800}

    def group_show(self, options):
        name, account = options["--name"], self.account(options.get("--subscription"))
        if name not in self.state["groups"]:
            raise ComplaintError(f"(ResourceGroupNotFound) Resource group '{name}' could not be found.")
        return {"id": f"/subscriptions/{account['id']}/resourceGroups/{name}"}

    def group_create(self, options):
        self.state["groups"].append(options["--name"])
        return self.group_show(options)

    def identity(self, method, path):
        if path.split("/")[4] not in self.state["groups"]:
            raise ComplaintError('Not Found({"error":{"code":"ResourceGroupNotFound","message":"No such group."}})')
        if method == "put":
            self.state["identities"].append({"id": path, "principalId": self.state["next_principal"]})
        for identity in self.state["identities"]:
            if identity["id"] == path:
                return {"id": path, "properties": {"principalId": identity["principalId"]}}
        raise ComplaintError('Not Found({"error":{"code":"ResourceNotFound","message":"No such identity."}})')

    def storage_entity_query(self, options):
        if self.state["coming"] and self.state["asked"]:
            self.state["coming"]["queries"] -= 1
            if self.state["coming"]["queries"] <= 0:
                self.state["rows"].append(self.state["coming"]["row"])
                self.state["coming"] = None
        month, key = re.fullmatch(r"PartitionKey ge '([\d-]+)' and RowKey lt '(\d+)'", options["--filter"]).groups()
        rows = sorted(self.state["rows"], key=lambda row: (row["PartitionKey"], row["RowKey"]))
        found = [row for row in rows if row["PartitionKey"] >= month and row["RowKey"] < key]
        return {"items": found[: int(options["--num-results"])], "nextMarker": {}}

    def rest(self, method, url, body):
        if method == "post" and url.endswith("/hostruntime/admin/functions/check_tokens?api-version=2023-12-01"):
            self.state["asked"] = body == {"input": ""}
            return None
        if "/userAssignedIdentities/" in url:
            return self.identity(method, url.removesuffix("?api-version=2023-01-31"))
        if url.endswith("/providers/Microsoft.Insights/scheduledQueryRules?api-version=2023-12-01"):
            return {"value": self.state["alert_rules"]}
        if "/providers/Microsoft.AlertsManagement/actionRules" in url:
            return self.action_rules(method, url.removesuffix("?api-version=2021-08-08"), body)
        return self.ask_graph(method, url, body)

    def ask_graph(self, method, url, body):
        graph = self.state["graph"].rstrip("/") + "/v1.0/"
        if not url.startswith(graph):
            raise ComplaintError(f"Not Found({url})")
        path = url.removeprefix(graph)
        if path == f"servicePrincipals(appId='{GRAPH_APP}')?$select=id,appRoles":
            return self.state["graph_app"]
        principal = re.fullmatch(r"servicePrincipals/([^/]+)/appRoleAssignments", path)[1]
        if method == "post":
            self.state["assignments"].append({**body, "id": f"assignment-{len(self.state['assignments'])}"})
            return self.state["assignments"][-1]
        self.state["unseen"] -= 1
        seen = [] if self.state["unseen"] >= 0 else self.state["assignments"]
        return {"value": [assigned for assigned in seen if assigned["principalId"] == principal]}

    def action_rules(self, method, path, body):
        rules, name = self.state["rules"], path.split("/actionRules")[1].removeprefix("/")
        if method == "put":
            rules[name] = {**body, "id": path, "name": name}
        elif method == "get" and not name:
            return {"value": list(rules.values())}
        elif method == "get" and name not in rules:
            raise ComplaintError('Not Found({"error":{"code":"ResourceNotFound"}})')
        elif method == "delete":
            return rules.pop(name, None) and None
        return rules[name]


def fields(answer, *paths):
    return [reduce(lambda value, name: value[name], path.split("."), answer) for path in paths if path]


def role(answer, name):
    roles = [r["id"] for r in answer["appRoles"] if r["value"] == name and "Application" in r["allowedMemberTypes"]]
    return [answer["id"], roles[0] if roles else None]


def assignment(answer, role_id, resource_id):
    wanted = {"appRoleId": role_id, "resourceId": resource_id}
    return next((a["id"] for a in answer["value"] if wanted.items() <= a.items()), None)


def snoozes(answer):
    found = []
    for rule in answer["value"]:
        properties = rule["properties"]
        if not any(action["actionType"] == "RemoveAllActionGroups" for action in properties.get("actions", [])):
            continue
        tokens = [c["values"][0] for c in properties["conditions"] if c["field"] == "AlertContext"]
        schedule = properties.get("schedule", {})
        found += [[token, schedule.get("effectiveUntil"), schedule.get("timeZone"), rule["name"]] for token in tokens]
    return found


def of_tokens(answer):
    found = [(rule["id"], rule["properties"]) for rule in answer["value"]]
    names = {id_: {d["name"] for d in one["criteria"]["allOf"][0]["dimensions"]} for id_, one in found}
    return [[id_, one["scopes"][0]] for id_, one in found if "TokenId" in names[id_]]


SILENT = r"properties\.actions\[\?actionType=='RemoveAllActionGroups'\]"
BY_TOKEN = r"properties\.criteria\.allOf\[0\]\.dimensions\[\?name=='TokenId'\]"
OF_TOKEN = r"properties\.conditions\[\?field=='AlertContext'\]"
QUERIES = {
    r"(\w+)": lambda answer, field: answer[field],
    r"\[([\w.]+), ([\w.]+)(?:, (id))?\]": fields,
    r"\[id, appRoles\[\?value=='([\w.]+)' && contains\(allowedMemberTypes, 'Application'\)\]\.id \| \[0\]\]": role,
    r"value\[\?appRoleId=='([\w-]+)' && resourceId=='([\w-]+)'\]\.id \| \[0\]": assignment,
    rf"value\[\?{BY_TOKEN}\]\.\[id, properties\.scopes\[0\]\]": of_tokens,
    rf"value\[\?{SILENT} && {OF_TOKEN}\]\.\[ {OF_TOKEN}\.values\[\] \| \[0\], properties\.schedule\.effectiveUntil, "
    r"properties\.schedule\.timeZone, name\]": snoozes,
}
"""The result of JMESPath for each query of the scripts."""


def query(text, answer):
    for pattern, given in QUERIES.items():
        if found := re.fullmatch(pattern, " ".join(text.split())):
            return given(answer, *found.groups())
    raise ComplaintError(f"the stand-in does not know the query {text}")


def tsv(value):
    if value is None:
        return ""
    if isinstance(value, list):
        return "".join(f"{'\t'.join(map(str, line)) if isinstance(line, list) else line}\n" for line in value)
    return f"{value}\n"


def main(folder, arguments):
    with (folder / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    first = next(i for i, argument in enumerate(arguments) if argument.startswith("--"))
    options, name = {}, ""
    for argument in arguments[first:]:
        if argument.startswith("--"):
            name = argument
            options[name] = ""
        else:
            options[name] = argument
    azure = Azure(folder)
    try:
        azure.fail(" ".join(arguments))
        answer = azure.answer(" ".join(arguments[:first]), options)
        if answer is not None and "--query" in options:
            answer = query(options["--query"], answer)
    except ComplaintError as complaint:
        sys.stderr.write(f"ERROR: {complaint}\n")
        return 1
    finally:
        azure.save()
    if answer is not None and options["--output"] == "json":
        sys.stdout.write(json.dumps(answer))
    else:
        sys.stdout.write(tsv(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
