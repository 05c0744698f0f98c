#!/bin/sh
# Grants the app's managed identity its Microsoft Graph application roles; --help shows how.
#
# A token lists the roles of its identity. Azure caches a managed identity's token for about 24 hours and renews it no
# earlier, so the grant has to come before the app's first call. With --create it comes before everything else.
set -eu

GRAPH_APP=00000003-0000-0000-c000-000000000000
ROLE=DeviceManagementServiceConfig.Read.All
IDENTITIES=Microsoft.ManagedIdentity/userAssignedIdentities
EVENTS_ROLE=DeviceManagementManagedDevices.Read.All
: "${WAIT_SECONDS:=10}"
TRIES=18

usage() {
    cat <<EOT
Grants the app's identity the Microsoft Graph application role that it reads Intune's Apple tokens with,
$ROLE. Changes nothing if the role is granted already.
Who may: a Global Administrator or a Privileged Role Administrator.

infra/grant-graph-role.sh --identity NAME --resource-group GROUP [OPTION]...
infra/grant-graph-role.sh --identity-id RESOURCE_ID [OPTION]...
infra/grant-graph-role.sh --principal-id OBJECT_ID [OPTION]...     needs no right on a subscription

  --enrollment-events   grant $EVENTS_ROLE, too
                        (for the app's setting ENROLLMENT_EVENTS)
  --create              create the identity --identity, and its resource group, if they are missing;
                        the last line is the identity's resource ID, which the deployment needs
  --location LOCATION   where --create creates them
  --subscription NAME   the identity's subscription, if it is not the one that az works with
  --dry-run             show what would change, and change nothing
  --help

Environment: WAIT_SECONDS (10) between two tries while Entra ID does not show a new identity or grant; $TRIES tries.
Exit status: 0 granted, or there already; 2 the caller may not grant; 1 anything else.
EOT
}

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# az's answer is in $answer, its complaint in $complaint.
ask() {
    complaint=
    answer=$(az "$@" --only-show-errors --output tsv 2>"$errors") || {
        complaint=$(sed -e 's/^ERROR: //' -e '/^Code: /d' -e '/^Message: /d' -e '/^$/d' -e '/^Traceback/,$d' "$errors")
        return 1
    }
}

complains_of() {
    case $complaint in *"$1"*) ;; *) return 1 ;; esac
}

azure_says() { say "Azure says: $complaint"; }

first_line() { say "$answer" | sed -n 1p; }
second_line() { say "$answer" | sed -n 2p; }
third_line() { say "$answer" | sed -n 3p; }

# Entra ID keeps many copies of itself, and what is new is not in all of them at once.
patiently() { # patiently WHY COMMAND...
    why=$1
    shift
    left=$TRIES
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        say "$why Trying again in $WAIT_SECONDS seconds, $left more times at most."
        sleep "$WAIT_SECONDS"
    done
}

identity=
group=
identity_id=
principal_id=
location=
subscription=
create=
dry_run=
events=
while [ $# -gt 0 ]; do
    case $1 in
    --identity | --resource-group | --identity-id | --principal-id | --location | --subscription)
        case ${2-} in '' | -*) fail "$1 needs a value; --help shows how." ;; esac
        ;;
    esac
    case $1 in
    --identity) identity=$2 && shift ;;
    --resource-group) group=$2 && shift ;;
    --identity-id) identity_id=$2 && shift ;;
    --principal-id) principal_id=$2 && shift ;;
    --location) location=$2 && shift ;;
    --subscription) subscription=$2 && shift ;;
    --create) create=yes ;;
    --dry-run) dry_run=yes ;;
    --enrollment-events) events=yes ;;
    --help) usage && exit 0 ;;
    *) fail "$1 is not an option of this script; --help lists them." ;;
    esac
    shift
done

case ${identity:+name}${identity_id:+id}${principal_id:+principal} in
name) [ -n "$group" ] || fail "--identity needs --resource-group, the group that the identity is in." ;;
id | principal) [ -z "$create" ] || fail "--create creates the identity that --identity and --resource-group name." ;;
'') fail "Whose role? --identity NAME --resource-group GROUP, --identity-id or --principal-id; --help shows more." ;;
*) fail "Name the identity in one way: --identity, --identity-id or --principal-id." ;;
esac
[ -z "$create" ] || [ -n "$location" ] || fail "--create needs --location, the region of the new identity."
case $principal_id in
'') ;;
*[!0-9a-fA-F-]*) fail "--principal-id takes a GUID, the identity's object (principal) id; '$principal_id' is none." ;;
????????-????-????-????-????????????) ;;
*) fail "--principal-id takes a GUID, the identity's object (principal) id; '$principal_id' is none." ;;
esac
case $identity$group$location in
*[\"\\/?#]*) fail "--identity, --resource-group and --location take names, without quotation marks, slashes, ? or #." ;;
esac
case $identity_id in
*[\"\\?#]*) fail "--identity-id takes a resource id, and '$identity_id' is none." ;;
'' | /subscriptions/*/"$IDENTITIES"/*) ;;
*) fail "--identity-id takes the resource id of a user-assigned identity, and '$identity_id' is none." ;;
esac
roles="$ROLE${events:+ $EVENTS_ROLE}"

command -v az >/dev/null ||
    fail "The Azure CLI, az, is missing: install it, use the portal's Cloud Shell, or run infra/grant-graph-role.ps1."
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

ask cloud show --query '[name, endpoints.microsoftGraphResourceId]' || fail "az does not name its cloud. $(azure_says)"
cloud=$(first_line)
graph=$(second_line)
graph=${graph%/}
ask account show --query '[tenantId, name, id]' ||
    fail "Nobody is signed in to $cloud: run 'az login', for another cloud 'az cloud set --name NAME' first." \
        "$(azure_says)"
tenant=$(first_line)
subscription_now=$(second_line)
subscription_id=$(third_line)
if [ -n "$subscription" ]; then
    ask account show --subscription "$subscription" --query '[tenantId, name, id]' ||
        fail "az, signed in to $cloud, knows no subscription $subscription: 'az account list' shows which it knows," \
            "'az login' signs in to others, 'az cloud set --name NAME' and 'az login' to another cloud."
    # Graph is asked as whom az works with now, and so is the tenant chosen.
    [ "$(first_line)" = "$tenant" ] ||
        fail "The subscription $subscription is of tenant $(first_line), and az works in tenant $tenant:" \
            "run 'az account set --subscription $subscription'."
    subscription_now=$(second_line)
    subscription_id=$(third_line)
fi

# By `az rest`, since az's own commands for identities ask for a version that a sovereign cloud can lack: az 2.91 for
# 2025-05-31-preview.
ask_identity() { # ask_identity METHOD [BODY]
    : "${identity_id:=/subscriptions/$subscription_id/resourceGroups/$group/providers/$IDENTITIES/$identity}"
    ask rest --method "$1" --url "$identity_id?api-version=2023-01-31" ${2:+--body "$2"} \
        --query '[properties.principalId, id]'
}

create_identity() {
    if complains_of ResourceGroupNotFound; then
        ask group create --name "$group" --location "$location" ${subscription:+--subscription "$subscription"} \
            --query id || fail "The resource group $group could not be created. $(azure_says)"
        say "Created the resource group $group."
    fi
    ask_identity put "{\"location\": \"$location\"}" ||
        fail "The identity $identity could not be created. $(azure_says)"
    say "Created the identity $identity in the resource group $group."
}

if [ -n "$principal_id" ]; then
    who="the identity with the object id $principal_id"
else
    who="the identity ${identity:-$identity_id}"
    if ! ask_identity get; then
        complains_of ResourceNotFound || complains_of ResourceGroupNotFound ||
            fail "Could not look up $who. $(azure_says)"
        if [ -z "$create" ]; then
            fail "There is no such identity in the subscription $subscription_now: check the names, name another" \
                "subscription with --subscription, or create it with --create and --location. $(azure_says)"
        elif [ -n "$dry_run" ]; then
            say "Would create the identity $identity in the resource group $group ($location), and grant it: $roles."
            exit 0
        fi
        create_identity
    fi
    principal_id=$(first_line)
    identity_id=$(second_line)
fi

print_identity() {
    [ -z "$create" ] ||
        printf "For the form's field 'Existing identity' (parameter identityResourceId):\n%s\n" "$identity_id"
}

refuse() {
    case $cloud in
    AzureUSGovernment) environment=' -Environment USGov' ;;
    AzureChinaCloud) environment=' -Environment China' ;;
    *) environment= ;;
    esac
    cat >&2 <<EOT
You may not do this: $1. $(azure_says)
A Global Administrator or a Privileged Role Administrator of the tenant $tenant has to grant the role, with this
project's files at hand, in one of two ways.

sh, with the Azure CLI:
    az cloud set --name $cloud
    az login --tenant $tenant --allow-no-subscriptions
    infra/grant-graph-role.sh --principal-id $principal_id${events:+ --enrollment-events}

PowerShell, with the module Microsoft.Graph:
    infra/grant-graph-role.ps1 -PrincipalId $principal_id -TenantId $tenant$environment${events:+ -EnrollmentEvents}

If you are one, through Privileged Identity Management: activate the role, run 'az login' again, and then this.
EOT
    print_identity
    exit 2
}

give_up() {
    if complains_of Authorization_RequestDenied; then refuse "$1"; fi
    fail "It failed to $1. $(azure_says)"
}

# What a request about a new identity is answered with by a copy of Entra ID that has not heard of it.
is_unknown_yet() { complains_of Request_ResourceNotFound || complains_of 'Not a valid reference update'; }

find_assignment() {
    ask rest --method get --url "$graph/v1.0/servicePrincipals/$principal_id/appRoleAssignments" \
        --query "value[?appRoleId=='$role_id' && resourceId=='$resource_id'].id | [0]" && return
    is_unknown_yet || give_up "read the roles of $who"
    return 1
}

add_assignment() {
    ask rest --method post --url "$graph/v1.0/servicePrincipals/$principal_id/appRoleAssignments" --query id --body \
        "{\"principalId\": \"$principal_id\", \"resourceId\": \"$resource_id\", \"appRoleId\": \"$role_id\"}" && return
    # Somebody else was faster.
    if complains_of 'already exists'; then return; fi
    is_unknown_yet || give_up "grant the Graph role $role to $who"
    return 1
}

see_assignment() { find_assignment && [ -n "$answer" ]; }

unknown() {
    fail "Entra ID, tenant $tenant, knows no service principal with the object id $principal_id: for a new identity," \
        "run this again in some minutes; else look whether the id is the object (principal) id, not the client id," \
        "and az is signed in to the identity's tenant."
}

granted=
for role in $roles; do
    ask rest --method get --url "$graph/v1.0/servicePrincipals(appId='$GRAPH_APP')?\$select=id,appRoles" \
        --query "[id, appRoles[?value=='$role' && contains(allowedMemberTypes, 'Application')].id | [0]]" ||
        give_up "look up the Graph role $role"
    resource_id=$(first_line)
    role_id=$(second_line)
    [ "$role_id" != None ] || fail "Microsoft Graph in $cloud has no application role $role."

    patiently "Entra ID does not know $who yet." find_assignment || unknown
    if [ -n "$answer" ]; then
        say "Nothing to do: $who has the Graph role $role."
    elif [ -n "$dry_run" ]; then
        say "Would grant $who the Graph role $role."
    else
        patiently "Entra ID does not know $who everywhere yet." add_assignment || unknown
        patiently "Entra ID does not show the grant yet." see_assignment ||
            fail "Entra ID took the grant and does not show it: run this again in some minutes."
        say "Granted $who the Graph role $role."
        granted=yes
    fi
done
[ -z "$granted" ] || say "New tokens carry it. If the app has asked for its token already, Azure keeps that one for" \
    "up to 24 hours; the app asks for others until then, so the role can take some hours to take effect."
print_identity
