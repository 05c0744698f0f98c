#!/bin/sh
# azd runs this after the code is there: asks the app for a check at once, and tells how it went.
#
# The timer brings the first check at minute 7 of the hour, whatever happens here. So nothing here fails a deployment:
# what cannot be done is told, and the exit status is 0. WAIT_SECONDS (10) is the time between two tries.
set -u

: "${WAIT_SECONDS:=10}"
ASK_TRIES=12 # a host that has just got its code takes a while to start
ROW_TRIES=30

say() { printf '%s\n' "$*"; }

leave() {
    now=$(date -u +%s)
    due=$((now - now % 3600 + 7 * 60))
    [ "$due" -gt "$now" ] || due=$((due + 3600))
    say "$@"
    printf 'The next check comes by itself at %02d:07 UTC, and then every hour.\n' $((due % 86400 / 3600))
    exit 0
}

# az's answer is in $answer, its complaint in $complaint.
ask() {
    complaint=
    answer=$(az "$@" --only-show-errors --output tsv 2>"$errors") || {
        complaint=$(sed -e 's/^ERROR: //' -e '/^Code: /d' -e '/^Message: /d' -e '/^$/d' -e '/^Traceback/,$d' "$errors")
        return 1
    }
}

may_not() {
    case $complaint in
    *AuthorizationFailed* | *'required permissions'* | *'not authorized to perform'*) ;;
    *) return 1 ;;
    esac
}

# The newest row whose key is before $1: rows come by month, and within it newest first, since their keys count down.
newest_row_before() {
    ask storage entity query --auth-mode login --subscription "$subscription" --account-name "$account" \
        --table-name CheckRun --filter "PartitionKey ge '$month' and RowKey lt '$1'" --num-results 1 --query "$columns"
}
columns="items[0].[RowKey, Outcome, Tokens, Healthy, Info, Warning, Unknown, Critical, Connectors,"
columns="$columns StoreError || '', PublishError || '']"

see_new_row() { newest_row_before "$last_key" && [ -n "$answer" ]; }

ask_for_check() {
    ask rest --method post --body '{"input": ""}' \
        --url "$FUNCTION_APP_ID/hostruntime/admin/functions/check_tokens?api-version=2024-11-01"
}

# Whether a command succeeds within so many tries; what may not be done is not tried again.
within() { # within TRIES COMMAND...
    tries=$1
    shift
    until "$@"; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || may_not; then return 1; fi
        printf .
        sleep "$WAIT_SECONDS"
    done
}

line() { say "$answer" | sed -n "$1p"; }

# {"ade":{"tokens":3},"vpp":{"error":"..."}}, a line each.
connectors() {
    line 9 | awk '{ gsub(/[}],"/, "}\n\""); print }' | sed -e 's/[\\"{}]//g' -e 's/^/  /' \
        -e 's/^\( *[a-z]*\):tokens:\(.*\)/\1: \2 tokens/' -e 's/^\( *[a-z]*\):error:/\1: could not be read. /'
}

tell() {
    case $(line 2) in
    succeeded) say "The check succeeded: all was read, stored and sent to the alert rules." ;;
    degraded) say "The check is degraded: something could not be read." ;;
    *)
        say "The check failed: not all could be stored or sent to the alert rules."
        line '10,$' | sed '/^$/d'
        say "A right given by this deployment can take 30 minutes to work. The app tries twice more, a minute apart."
        ;;
    esac
    connectors
    say "Tokens: $(line 3); healthy $(line 4), info $(line 5), warning $(line 6), unknown $(line 7), critical $(line 8)"
    say "The workbook shows more$workbook"
}

if [ -z "${FUNCTION_APP_ID:-}" ] || [ -z "${TABLES_ENDPOINT:-}" ]; then
    leave "FUNCTION_APP_ID or TABLES_ENDPOINT is not set, so no check is asked for: azd sets them and runs this."
fi
command -v az >/dev/null || leave "The Azure CLI, az, is missing, so no check is asked for."
subscription=${FUNCTION_APP_ID#/subscriptions/}
subscription=${subscription%%/*}
account=${TABLES_ENDPOINT#https://}
account=${account%%.*}
workbook=${WORKBOOK_URL:+: $WORKBOOK_URL}
month=$(date -u +%Y-%m)
last_key=999999999999999
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
ask account show --subscription "$subscription" --query id ||
    leave "az is not signed in to the subscription $subscription, so no check is asked for: run 'az login'."

# What is newer than the newest row of now is the answer; no two clocks need to agree for that.
may_read=yes
if newest_row_before "$last_key"; then
    [ -z "$answer" ] || last_key=$(line 1)
elif may_not; then
    may_read=
else
    last_key=$((253402300799999 - $(date -u +%s) * 1000))
fi

printf 'Asking the app for a check '
within "$ASK_TRIES" ask_for_check && taken=yes || taken=
say
[ -n "$taken" ] || leave "Azure did not take the request. Azure says: $complaint"
[ -n "$may_read" ] || leave "It was asked for. You may not read how it goes: that takes the role Storage Table Data" \
    "Reader on the storage account $account (parameter readerGroupId). The workbook shows it in some minutes$workbook"

printf 'Waiting up to %s seconds for its row in the table CheckRun ' $((ROW_TRIES * WAIT_SECONDS))
if within "$ROW_TRIES" see_new_row; then
    say
    tell
else
    say
    leave "It was asked for, and there is no row of it.${complaint:+ Azure says: $complaint}" \
        "The log is in Application Insights of ${FUNCTION_APP_ID##*/}, table traces."
fi
