#!/bin/sh
# azd runs this after it made the resources and before the code is there: grants the app's identity its Graph roles.
#
# Without them the app's first token would lack the roles, and Azure keeps that token for about 24 hours. So where they
# cannot be granted, the deployment stops here. A pipeline that may not even look sets GRAPH_ROLE_GRANTED to true.
set -eu

if [ "${GRAPH_ROLE_GRANTED:-}" = true ]; then
    echo "GRAPH_ROLE_GRANTED is true: taking it that the app's identity has its Graph roles."
    exit 0
fi
if [ -z "${IDENTITY_PRINCIPAL_ID:-}" ]; then
    echo "IDENTITY_PRINCIPAL_ID is not set: azd sets it and runs this; by hand, run infra/grant-graph-role.sh." >&2
    exit 1
fi

set -- --principal-id "$IDENTITY_PRINCIPAL_ID"
# So that it is noticed where az is signed in elsewhere than azd.
[ -z "${AZURE_SUBSCRIPTION_ID:-}" ] || set -- "$@" --subscription "$AZURE_SUBSCRIPTION_ID"
case ${ENROLLMENT_EVENTS:-} in [Tt]rue) set -- "$@" --enrollment-events ;; esac

status=0
sh "$(dirname "$0")/../grant-graph-role.sh" "$@" || status=$?
case $status in
0) ;;
2)
    cat >&2 <<'EOT'

The deployment stops here, before the code: the app's first token would lack the role for a day.
Once an administrator has run one of the commands above, go on with: azd deploy
A deployer who may not look whether it is granted says so with: azd env set GRAPH_ROLE_GRANTED true
EOT
    ;;
*)
    cat >&2 <<'EOT'

The deployment stops here, before the code: the app's first token would lack the role for a day.
Mend what is said above, and go on with: azd provision, azd deploy
EOT
    ;;
esac
exit "$status"
