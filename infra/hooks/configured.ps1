# azd, before provisioning: somebody has to be told.
if (-not $env:ALERT_EMAILS) {
    Write-Host 'Nobody would be told of an alert. Name the addresses, then run this again:'
    Write-Host '  azd env set ALERT_EMAILS intune-admins@contoso.com,on-call@contoso.com'
    exit 1
}
