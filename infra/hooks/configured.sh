#!/bin/sh
# azd, before provisioning: somebody has to be told.
set -eu

if [ -z "${ALERT_EMAILS:-}" ]; then
    echo "Nobody would be told of an alert. Name the addresses, then run this again:" >&2
    echo "  azd env set ALERT_EMAILS intune-admins@contoso.com,on-call@contoso.com" >&2
    exit 1
fi
