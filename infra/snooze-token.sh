#!/bin/sh
# Silences the alerts of one token until an instant with an alert processing rule; --help shows how.
#
# The script uses `az rest`, since az's own command for these rules is a preview in an extension. Such a rule applies to
# alerts that fire on a resource of its scope, and both have to be in one subscription:
# https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-processing-rules (March 2026). The alerts fire on the
# workspace that the alert rules query, which can be in another resource group or subscription.
set -eu

usage() {
    cat <<'EOT'
Silences the alerts of one token until an instant. Who may: Monitoring Contributor on the resource group and, where the
workspace is in another subscription, on the workspace's resource group, which then contains the rule.

infra/snooze-token.sh --token-id ID --until 2026-12-01T08:00 --resource-group GROUP [OPTION]...
infra/snooze-token.sh --list --resource-group GROUP
infra/snooze-token.sh --remove --token-id ID --resource-group GROUP

  --token-id ID         the token's ID, as in alerts, the workbook and the table TokenStatus (RowKey):
                        a GUID; push-certificate for the push certificate
  --until INSTANT       yyyy-MM-ddTHH:mm, in the future; another run moves the instant
  --timezone ZONE       the instant's time zone, by its Windows name such as 'W. Europe Standard Time' (default: UTC)
  --resource-group GROUP  the monitor's resource group
  --name NAME           the alert processing rule's name (default: snooze-ID)
  --subscription NAME   the group's subscription, if it is not the one that az works with
  --help

This removes notifications only. Alerts fire and resolve, and the portal, the workbook and the tables show them.
Azure never sends these notifications later: if an alert is still open at the end, nobody is notified until it changes.
If alerts are grouped by connector (alertGrouping Connector), they name no token, so no token can be silenced.
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

azure_says() { say "Azure says: $complaint"; }

# Seconds since 1970 of a date and time, counted in days from March on; date(1) differs between systems.
epoch() { # epoch YEAR MONTH DAY HOUR MINUTE, each without a leading zero
    if [ "$2" -gt 2 ]; then
        set -- "$1" $(($2 - 3)) "$3" "$4" "$5"
    else
        set -- $(($1 - 1)) $(($2 + 9)) "$3" "$4" "$5"
    fi
    say $((((365 * $1 + $1 / 4 - $1 / 100 + $1 / 400 + (153 * $2 + 2) / 5 + $3 - 719469) * 24 + $4) * 3600 + $5 * 60))
}

token_id=
until=
timezone=UTC
group=
name=
subscription=
action=put
while [ $# -gt 0 ]; do
    case $1 in
    --token-id | --until | --timezone | --resource-group | --name | --subscription)
        case ${2-} in '' | -*) fail "$1 needs a value; --help shows how." ;; esac
        ;;
    esac
    case $1 in
    --token-id) token_id=$2 && shift ;;
    --until) until=$2 && shift ;;
    --timezone) timezone=$2 && shift ;;
    --resource-group) group=$2 && shift ;;
    --name) name=$2 && shift ;;
    --subscription) subscription=$2 && shift ;;
    --list) action=list ;;
    --remove) action=remove ;;
    --help) usage && exit 0 ;;
    *) fail "$1 is not an option of this script; --help lists them." ;;
    esac
    shift
done

[ -n "$group" ] || fail "--resource-group is missing: the monitor's resource group; --help shows how."
if [ "$action" != list ]; then
    # The filter is "contains": a part of an ID, or a word that every alert contains, would silence other alerts, too.
    case $token_id in
    push-certificate) ;;
    '') [ "$action" = remove ] && [ -n "$name" ] || fail "--token-id is missing: which token? --help shows how." ;;
    *[!0-9a-fA-F-]*) fail "A token's ID is a GUID, or push-certificate; '$token_id' is neither." ;;
    ????????-????-????-????-????????????) ;;
    *) fail "A token's ID is a GUID, or push-certificate; '$token_id' is neither." ;;
    esac
    : "${name:=snooze-$token_id}"
    case $name in *[!0-9A-Za-z_-]*) fail "--name takes letters, digits, - and _; '$name' has others." ;; esac
fi
if [ "$action" = put ]; then
    case $until in
    20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]) ;;
    '') fail "--until is missing: until when? Such as 2026-12-01T08:00." ;;
    *) fail "--until takes yyyy-MM-ddTHH:mm, such as 2026-12-01T08:00; '$until' is something else." ;;
    esac
    case $timezone in
    *[!0-9A-Za-z\ .\(\)+-]*)
        fail "--timezone takes a Windows name, such as 'W. Europe Standard Time'; '$timezone' is none."
        ;;
    esac
    read -r year month day hour minute <<EOT
$(say "$until" | tr 'T:-' '   ')
EOT
    ends=$(epoch "$year" "${month#0}" "${day#0}" "${hour#0}" "${minute#0}")
    # Elsewhere than in UTC it is up to 12 hours later; Azure knows the zones, this script does not.
    [ "$timezone" = UTC ] || ends=$((ends + 12 * 3600))
    [ "$ends" -gt "$(date -u +%s)" ] || fail "--until has to lie in the future; $until $timezone does not."
fi

command -v az >/dev/null || fail "The Azure CLI, az, is missing: install it, or use the portal's Cloud Shell."
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
ask account show --query id || fail "Nobody is signed in: run 'az login'. $(azure_says)"
: "${subscription:=$answer}"
ask group show --name "$group" --subscription "$subscription" --query id ||
    fail "The resource group $group was not found in the subscription $subscription. Check the name, or name the" \
        "subscription with --subscription. $(azure_says)"
home=$answer
ask rest --method get --url "$home/providers/Microsoft.Insights/scheduledQueryRules?api-version=2023-12-01" \
    --query "value[?properties.criteria.allOf[0].dimensions[?name=='TokenId']].[id, properties.scopes[0]]" ||
    fail "The alert rules of $group could not be read. $(azure_says)"
[ -n "$answer" ] ||
    fail "No alert rule of $group names a token: check that it is the monitor's resource group. With alertGrouping" \
        "Connector no alert names a token, so none can be silenced alone."
alert_rules=$(say "$answer" | awk '{ printf "%s\"%s\"", comma, $1; comma = ", " }')
workspaces=$(say "$answer" | awk '!seen[$2]++ { printf "%s\"%s\"", comma, $2; comma = ", " }')
case $workspaces in
"\"${home%%/resourceGroups/*}"/*) ;;
*) home=${workspaces%%/providers/*} && home=${home#\"} ;;
esac
rules=$home/providers/Microsoft.AlertsManagement/actionRules
version='?api-version=2021-08-08'

case $action in
list)
    ask rest --method get --url "$rules$version" --query "value[?properties.actions[?actionType=='RemoveAllActionGroups'] &&
        properties.conditions[?field=='AlertContext']].[
        properties.conditions[?field=='AlertContext'].values[] | [0],
        properties.schedule.effectiveUntil, properties.schedule.timeZone, name]" ||
        fail "The alert processing rules of $group could not be read. $(azure_says)"
    [ -n "$answer" ] || answer='none'
    printf 'Token\tUntil\tTime zone\tRule\n%s\n' "$answer" | expand -t 38,59,86
    ;;
remove)
    ask rest --method get --url "$rules/$name$version" --query id ||
        fail "There is no alert processing rule $name in $group to remove; --list shows which exist. $(azure_says)"
    ask rest --method delete --url "$rules/$name$version" || fail "$name could not be removed. $(azure_says)"
    say "Removed the alert processing rule $name. Azure notifies again of alerts that fire or resolve from now on."
    ;;
put)
    case $workspaces in
    *"$token_id"*) fail "$token_id is not a token's ID but the subscription's, which every alert contains." ;;
    esac
    ask rest --method put --url "$rules/$name$version" --query id --body "{
        \"location\": \"Global\",
        \"properties\": {
            \"scopes\": [$workspaces],
            \"conditions\": [
                {\"field\": \"AlertRuleId\", \"operator\": \"Equals\", \"values\": [$alert_rules]},
                {\"field\": \"AlertContext\", \"operator\": \"Contains\", \"values\": [\"$token_id\"]}
            ],
            \"schedule\": {\"effectiveUntil\": \"$until:00\", \"timeZone\": \"$timezone\"},
            \"actions\": [{\"actionType\": \"RemoveAllActionGroups\"}],
            \"description\": \"Silences the alerts of the Apple token $token_id.\",
            \"enabled\": true
        }
    }" || fail "The token could not be silenced. You need the role Monitoring Contributor on $group. $(azure_says)"
    cat <<EOT
Nobody is notified of the token $token_id until $until $timezone (alert processing rule $name).
The portal, the workbook and the tables show its alerts. Azure never sends these notifications later: if an alert is
still open then, nobody is notified until it changes. The rule stays, without effect then, until you remove it:
    infra/snooze-token.sh --remove --name $name --resource-group $group
EOT
    ;;
esac
