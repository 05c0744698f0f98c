# azd runs this on Windows as it runs grant.sh elsewhere, which tells why: grants the app's identity its Graph roles
# after the resources are made and before the code is there, and stops the deployment where they cannot be granted.
$ErrorActionPreference = 'Stop'

if ($env:GRAPH_ROLE_GRANTED -eq 'true') {
    Write-Host "GRAPH_ROLE_GRANTED is true: taking it that the app's identity has its Graph roles."
    exit 0
}
if (-not $env:IDENTITY_PRINCIPAL_ID) {
    Write-Host 'IDENTITY_PRINCIPAL_ID is not set: azd sets it and runs this; by hand, run infra/grant-graph-role.ps1.'
    exit 1
}

$environments = @{ AzureCloud = 'Global'; AzureUSGovernment = 'USGov'; AzureChinaCloud = 'China' }
$arguments = @{
    PrincipalId      = $env:IDENTITY_PRINCIPAL_ID
    EnrollmentEvents = $env:ENROLLMENT_EVENTS -eq 'true'
}
if ($env:AZURE_CLOUD) { $arguments.Environment = $environments[$env:AZURE_CLOUD] }
if ($env:AZURE_TENANT_ID) { $arguments.TenantId = $env:AZURE_TENANT_ID }

& "$PSScriptRoot/../grant-graph-role.ps1" @arguments
$status = $LASTEXITCODE
if ($status -ne 0) {
    Write-Host ''
    Write-Host "The deployment stops here, before the code: the app's first token would lack the role for a day."
}
if ($status -eq 2) {
    Write-Host 'Once an administrator has run the command above, go on with: azd deploy'
    Write-Host 'A deployer who may not look whether it is granted says so with: azd env set GRAPH_ROLE_GRANTED true'
} elseif ($status -ne 0) {
    Write-Host 'Mend what is said above, and go on with: azd provision, azd deploy'
}
exit $status
