"""azd runs this before it provisions: an alert needs somebody to notify."""

import os
import sys

if not os.environ.get("ALERT_EMAILS", "").strip(" ,"):
    sys.exit(
        "No alert would reach anybody. Set the addresses, then run this again:\n"
        "  azd env set ALERT_EMAILS intune-admins@contoso.com,on-call@contoso.com"
    )
