"""`doctor` on the app: its settings, its alert rules, its identity and what that one may do."""

import pytest
from cli_scene import now
from doctoring import GRANT, OTHER, TRIGGER, Patient

from shared.graph.connectors import EVENTS_ROLE, ROLE
from shared.model.runs import GraphToken
from shared.storage.columns import json_text
from simulator import arm, bearer, directory, faults
from simulator.bearer import PRINCIPAL_ID
from simulator.ingestion import RULE_ID


@pytest.fixture
def patient(simulator):
    simulator.reset()
    return Patient(simulator)


# The app


def test_an_app_that_is_stopped_is_started(patient):
    patient.hourly(1)
    patient.sim.arm.state = "Stopped"
    assert patient.the_failure("App")["command"] == f"az functionapp start --ids {arm.APP_ID}"


def test_an_app_id_that_names_no_app(patient):
    patient.hourly(1)
    wrong = arm.APP_ID.replace("func-contoso", "func-other")
    assert "HTTP 404" in patient.failing(FUNCTION_APP_ID=wrong)["App"]["said"]


def test_a_function_that_the_host_did_not_find_is_deployed(patient):
    patient.hourly(1)
    patient.sim.arm.functions.remove("inspect_devices")
    told = patient.the_failure("Functions")
    assert "has not found inspect_devices" in told["said"]
    assert (
        "python infra/deploy_code.py --resource-group rg-apple-tokens --name func-contoso-a1b2c3d4e5f6g"
        in told["command"]
    )


def test_a_function_that_is_disabled_is_enabled(patient):
    patient.hourly(1)
    patient.sim.arm.disabled_functions = {"check_tokens"}
    told = patient.the_failure("Functions")
    assert told["command"].endswith("--setting-names AzureWebJobs.check_tokens.Disabled")


def test_a_setting_that_is_missing_or_wrong_is_set_to_what_is_known(patient):
    patient.hourly(1)
    patient.sim.arm.changed |= {"LOGS_INGESTION_ENDPOINT": "", "CHANGE_DAYS": "many"}
    told = patient.the_failure("App settings")
    assert "LOGS_INGESTION_ENDPOINT is missing" in told["said"]
    assert "CHANGE_DAYS is 'many'" in told["said"]
    url = patient.sim.ingestion.url
    assert told["command"].endswith(
        f"appsettings set --ids {arm.APP_ID} --settings LOGS_INGESTION_ENDPOINT={url} CHANGE_DAYS=7"
    )


def test_a_check_that_is_not_hourly_is_what_the_alert_rules_do_not_expect(patient):
    patient.hourly(1)
    patient.sim.arm.changed["CHECK_SCHEDULE"] = "0 0 6 * * *"
    told = patient.the_failure("App settings")
    assert told["command"].endswith("--settings 'CHECK_SCHEDULE=0 7 * * * *'")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("dcr-00000000000000000000000000000000", "no data collection rule of the group has this immutable id"),
        ("contoso-rule", "an immutable id begins with dcr-"),
    ],
)
def test_a_wrong_rule_id_is_found_and_the_right_one_told(patient, wrong, told):
    patient.hourly(1)
    patient.sim.arm.changed["LOGS_INGESTION_RULE_ID"] = wrong
    line = patient.the_failure("Rule id", LOGS_INGESTION_RULE_ID=wrong)
    assert told in line["said"]
    assert line["command"].endswith(f"--settings LOGS_INGESTION_RULE_ID={RULE_ID}")


def test_a_wrong_rule_id_is_found_where_only_sending_can_tell(patient):
    patient.hourly(1)
    wrong = "dcr-00000000000000000000000000000000"
    told = patient.the_failure("Ingestion", "--write", LOGS_INGESTION_RULE_ID=wrong, FUNCTION_APP_ID=None)
    assert f"no data collection rule with the immutable id {wrong}" in told["said"]


def test_an_alert_rule_that_is_disabled_is_enabled(patient):
    patient.hourly(1)
    patient.sim.arm.disabled_rules = {"check_silent"}
    told = patient.the_failure("Alert rules")
    assert told["said"].startswith(f"{arm.SUFFIX}-check_silent is disabled")
    assert f"/scheduledQueryRules/{arm.SUFFIX}-check_silent --set properties.enabled=true" in told["command"]


def test_an_alert_rule_that_is_missing_is_deployed(patient):
    patient.hourly(1)
    patient.sim.arm.missing_rules = {"token_warning"}
    assert "token_warning is missing" in patient.the_failure("Alert rules")["said"]


def test_alert_rules_of_another_deployment_in_the_group_are_not_taken_for_the_app_s(patient):
    patient.hourly(1)
    other = arm.APP_ID.replace(arm.SUFFIX, "contoso-another00000")
    told = patient.failing(FUNCTION_APP_ID=other)["Alert rules"]
    assert "token_critical, token_warning, check_failing and check_silent are missing" in told["said"]


def test_what_the_operator_may_not_see_is_not_tried_and_fails_nothing(patient):
    patient.hourly(1)
    patient.sim.arm.forbidden = {""}
    patient.sim.graph.directory.readable = False
    told = patient.lines()
    for what in ("App", "Functions", "App settings", "Alert rules", "Rule id", "Identity", "Graph role"):
        assert told[what]["state"] == "not tried", told[what]
        assert "HTTP 403" in told[what]["said"]
    assert patient.run("doctor").returncode == 0


# The app's identity


def test_the_role_is_not_granted(patient):
    patient.hourly(1)
    patient.sim.graph.directory.grants = []
    told = patient.the_failure("Graph role")
    assert told["said"].endswith(f"does not have {ROLE}: it is not granted.")
    assert told["command"] == GRANT


def test_the_role_was_granted_to_the_wrong_identity(patient):
    patient.hourly(1)
    patient.sim.graph.directory.grants = [(directory.ALERTS_PRINCIPAL_ID, ROLE)]
    told = patient.the_failure("Graph role")
    name, object_id = directory.ALERTS_IDENTITY, directory.ALERTS_PRINCIPAL_ID
    assert f"It was granted to the wrong identity: {name} ({object_id}) has it." in told["said"]
    assert told["command"] == GRANT
    assert f"az rest --method delete --url {patient.sim.graph.url}/v1.0/servicePrincipals/{object_id}/" in told["then"]


def test_somebody_elses_role_is_nobodys_mistake(patient):
    patient.hourly(1)
    theirs = directory.principal(OTHER, OTHER, "Backup Software")
    patient.sim.graph.directory.principals[OTHER] = theirs
    patient.sim.graph.directory.grants = [(OTHER, ROLE)]
    patient.sim.graph.directory.page_size = 1
    said = patient.the_failure("Graph role")["said"]
    assert said.endswith("it is not granted. Others have it: Backup Software.")


def test_the_app_signs_in_as_another_identity_than_the_one_that_was_granted_the_role(patient):
    patient.hourly(1)
    patient.sim.arm.changed["AZURE_CLIENT_ID"] = directory.ALERTS_CLIENT_ID
    patient.sim.arm.identities[arm.ALERTS_IDENTITY_ID] = (directory.ALERTS_PRINCIPAL_ID, directory.ALERTS_CLIENT_ID)
    failed = patient.failing()
    assert failed["Identity"]["command"].endswith(f"--settings AZURE_CLIENT_ID={bearer.CLIENT_ID}")
    assert f"granted to the wrong identity: {directory.APP_IDENTITY} ({PRINCIPAL_ID})" in failed["Graph role"]["said"]


def test_the_app_is_set_to_an_identity_that_it_does_not_have(patient):
    patient.hourly(1)
    patient.sim.arm.changed["AZURE_CLIENT_ID"] = OTHER
    told = patient.failing()["Identity"]
    assert f"with the client id {OTHER}, and has no such identity; it has {directory.APP_IDENTITY}." in told["said"]
    assert told["command"].endswith(f"--settings AZURE_CLIENT_ID={bearer.CLIENT_ID}")


def test_an_identity_of_another_group_takes_a_role_to_be_assigned(patient):
    patient.hourly(1)
    patient.sim.arm.changed["AZURE_CLIENT_ID"] = OTHER
    theirs = arm.IDENTITY_ID.replace(arm.RESOURCE_GROUP, "rg-identities")
    for identity_id, needed in ((theirs, True), (arm.IDENTITY_ID.upper(), False)):
        told = patient.failing(IDENTITY_RESOURCE_ID=identity_id)["Identity"]
        assert f"--identities {identity_id} " in told["command"]
        assert ("you need the role Managed Identity Operator on the identity" in (told["remedy"] or "")) is needed


def test_the_identity_is_not_in_the_directory(patient):
    patient.hourly(1)
    del patient.sim.graph.directory.principals[PRINCIPAL_ID]
    lines = patient.lines()
    assert lines["Identity"]["state"] == "failed"
    assert "The directory has no identity" in lines["Identity"]["said"]
    assert lines["Graph role"]["state"] == "not tried"


def refused(patient):
    """A check whose sign-in carries no role."""
    patient.sim.identity.roles = []
    patient.hourly(1)


def test_the_role_is_granted_and_not_yet_in_the_token(patient):
    refused(patient)
    told = patient.failing()["Reading"]
    assert "the role is granted, and not yet in the app's token, which Azure keeps until 20" in told["said"]
    assert "asks for another one; a restart renews nothing" in told["remedy"]
    assert told["command"] == TRIGGER
    said = patient.lines()["Graph role"]["said"]
    assert "The app's token for https://graph.microsoft.com does not carry it yet; the first check after 20" in said


def test_the_form_of_graphs_resource_that_is_in_use_is_named(patient):
    patient.hourly(1)
    second = GraphToken(resource="https://graph.microsoft.com/", expires_on=now(), retry_on=now())
    patient.change_run(GraphToken=json_text(second))
    said = patient.lines()["Graph role"]["said"]
    assert f"has {ROLE}. The app's token for https://graph.microsoft.com/ carries it." in said
    patient.change_run(GraphToken="{")
    assert "The app's token" not in patient.lines()["Graph role"]["said"]


def test_the_role_is_neither_granted_nor_in_the_token(patient):
    refused(patient)
    patient.sim.graph.directory.grants = []
    failed = patient.failing()
    assert "does not have the role" in failed["Reading"]["said"]
    assert failed["Reading"]["command"] == failed["Graph role"]["command"] == GRANT


def test_graph_refuses_although_the_token_has_the_role(patient):
    patient.sim.graph.fail("", faults.missing_role())
    patient.hourly(1)
    patient.sim.graph.heal()
    said = patient.failing()["Reading"]["said"]
    assert "active Intune license" in said
    assert "not yet in" not in said


def test_the_further_role_is_looked_for_where_events_are_read(patient):
    patient.hourly(1)
    patient.sim.arm.changed["ENROLLMENT_EVENTS"] = "true"
    told = patient.the_failure("Graph role, events")
    assert EVENTS_ROLE in told["said"]
    assert told["command"] == f"{GRANT} --enrollment-events"
    patient.sim.graph.directory.grants.append((PRINCIPAL_ID, EVENTS_ROLE))
    assert patient.failing() == {}


def test_a_role_that_it_does_not_need_is_told_and_fails_nothing(patient):
    patient.hourly(1)
    patient.sim.graph.directory.grants.append((PRINCIPAL_ID, "User.Read.All"))
    assert patient.failing() == {}
    assert "without needing it, User.Read.All" in patient.lines()["Graph role"]["said"]


def test_the_right_at_the_data_collection_rule_is_missing(patient):
    patient.sim.ingestion.fail("", faults.status(403))
    patient.hourly(2)
    patient.sim.ingestion.heal()
    patient.sim.arm.assignments = []
    failed = patient.failing()
    assert "lacks the role Monitoring Metrics Publisher" in failed["Right to publish"]["said"]
    assert failed["Right to publish"]["command"] == (
        "az role assignment create --role 'Monitoring Metrics Publisher' "
        f"--assignee-object-id {PRINCIPAL_ID} --assignee-principal-type ServicePrincipal "
        f"--scope {arm.COLLECTION_RULE_ID}"
    )
    assert "HTTP 403" in failed["Heartbeat"]["said"]


def test_the_missing_right_is_told_by_the_apps_own_run_alone(patient):
    patient.ran(outcome="failed", publish_error="2 of 2 rows of AppleTokenRun_CL were not taken: HTTP 403.")
    told = patient.lines(FUNCTION_APP_ID=None)["Right to publish"]
    assert told["state"] == "failed"
    assert f"--assignee-object-id {PRINCIPAL_ID}" in told["command"]


def test_the_right_was_given_a_moment_ago(patient):
    patient.ran(outcome="failed", publish_error="2 of 2 rows of AppleTokenRun_CL were not taken: HTTP 403.")
    lines = patient.lines()
    assert lines["Right to publish"]["state"] == "passed"
    assert "can take 30 minutes" in lines["Right to publish"]["said"]
    assert (lines["Heartbeat"]["state"], lines["Heartbeat"]["command"]) == ("failed", TRIGGER)


def test_a_right_that_comes_from_elsewhere_is_seen_by_what_the_app_publishes(patient):
    patient.hourly(1)
    patient.sim.arm.assignments = []
    assert patient.failing() == {}


def test_the_operators_own_refusal_says_nothing_of_the_apps(patient):
    patient.hourly(1)
    patient.sim.ingestion.fail("", faults.status(403))
    line = patient.the_failure("Ingestion", "--write")
    assert "The app's own right can differ." in line["said"]
    assert f"--scope {arm.COLLECTION_RULE_ID}" in line["command"]
