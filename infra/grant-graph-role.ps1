<#
.SYNOPSIS
Grants the app's managed identity its Microsoft Graph application roles; does nothing where they are granted.

.DESCRIPTION
The same as grant-graph-role.sh, with the module Microsoft.Graph. Who may: a Global Administrator or a Privileged Role
Administrator. A token tells the roles of its identity, and Azure keeps a managed identity's token for about 24 hours
and renews it no earlier, so grant before the app's first call.
Exit status: 0 granted, or there already; 2 the caller may not grant; 1 anything else.

.PARAMETER PrincipalId
The identity's object (principal) id; not its client id.
.PARAMETER IdentityName
The identity by its name, which has to be the only managed identity of that name in the tenant.
.PARAMETER EnrollmentEvents
Grants DeviceManagementManagedDevices.Read.All, too (for the app's setting ENROLLMENT_EVENTS).
.PARAMETER TenantId
The tenant to sign in to.
.PARAMETER Environment
The cloud, by the name that Connect-MgGraph has for it.

.EXAMPLE
infra/grant-graph-role.ps1 -PrincipalId 00000000-0000-0000-0000-000000000000 -WhatIf
#>
[CmdletBinding(SupportsShouldProcess, DefaultParameterSetName = 'Id')]
param(
    [Parameter(Mandatory, ParameterSetName = 'Id')] [guid] $PrincipalId,
    [Parameter(Mandatory, ParameterSetName = 'Name')] [string] $IdentityName,
    [switch] $EnrollmentEvents,
    [string] $TenantId,
    [ValidateSet('Global', 'USGov', 'USGovDoD', 'China')] [string] $Environment = 'Global'
)
$ErrorActionPreference = 'Stop'

$graphApp = '00000003-0000-0000-c000-000000000000'
$roles = @('DeviceManagementServiceConfig.Read.All')
if ($EnrollmentEvents) { $roles += 'DeviceManagementManagedDevices.Read.All' }
$tries = 18
$waitSeconds = 10

function Stop-Here([string] $Message, [int] $Status = 1) {
    [Console]::Error.WriteLine($Message)
    exit $Status
}

# Entra ID keeps many copies of itself, and what is new is not in all of them at once.
function Wait-Until([string] $Why, [scriptblock] $Condition) {
    for ($left = $tries - 1; -not (& $Condition); $left--) {
        if ($left -eq 0) { return $false }
        Write-Host "$Why Trying again in $waitSeconds seconds, $left more times at most."
        Start-Sleep -Seconds $waitSeconds
    }
    return $true
}

if (-not (Get-Module -ListAvailable -Name Microsoft.Graph.Applications)) {
    Stop-Here 'The module Microsoft.Graph is missing: Install-Module Microsoft.Graph -Scope CurrentUser'
}

try {
    $connection = @{
        Scopes      = 'AppRoleAssignment.ReadWrite.All', 'Application.Read.All'
        Environment = $Environment
        NoWelcome   = $true
    }
    if ($TenantId) { $connection.TenantId = $TenantId }
    Connect-MgGraph @connection

    $graph = Get-MgServicePrincipal -Filter "appId eq '$graphApp'"
    if ($IdentityName) {
        $name = $IdentityName -replace "'", "''"
        $found = @(Get-MgServicePrincipal -All -Filter "displayName eq '$name'" |
                Where-Object ServicePrincipalType -EQ 'ManagedIdentity')
        if ($found.Count -ne 1) {
            Stop-Here "The tenant has $($found.Count) managed identities ${IdentityName}: name one by -PrincipalId."
        }
        $PrincipalId = $found[0].Id
    }
    $known = Wait-Until 'Entra ID does not know the identity yet.' {
        Get-MgServicePrincipal -Filter "id eq '$PrincipalId'"
    }
    if (-not $known) {
        Stop-Here ("Entra ID knows no service principal with the object id ${PrincipalId}: look whether it is the " +
            'object (principal) id, not the client id, and whether the tenant is right (-TenantId).')
    }

    foreach ($role in $roles) {
        $appRole = $graph.AppRoles |
            Where-Object { $_.Value -eq $role -and $_.AllowedMemberTypes -contains 'Application' }
        if (-not $appRole) { Stop-Here "Microsoft Graph, $Environment, has no application role $role." }
        $assignment = {
            Get-MgServicePrincipalAppRoleAssignment -All -ServicePrincipalId $PrincipalId |
                Where-Object { $_.AppRoleId -eq $appRole.Id -and $_.ResourceId -eq $graph.Id }
        }
        if (& $assignment) {
            Write-Host "Nothing to do: the identity $PrincipalId has the Graph role $role."
        } elseif ($PSCmdlet.ShouldProcess($PrincipalId, "grant the Graph role $role")) {
            $null = New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $PrincipalId `
                -PrincipalId $PrincipalId -ResourceId $graph.Id -AppRoleId $appRole.Id
            if (-not (Wait-Until 'Entra ID does not show the grant yet.' $assignment)) {
                Stop-Here 'Entra ID took the grant and does not show it: run this again in some minutes.'
            }
            Write-Host "Granted the identity $PrincipalId the Graph role $role. New tokens carry it. If the app has"
            Write-Host 'asked for its token already, Azure keeps that one for up to 24 hours; the app asks for others'
            Write-Host 'until then, so the role can take some hours to take effect.'
        }
    }
} catch {
    if ("$_ $($_.FullyQualifiedErrorId)" -match 'Authorization_RequestDenied|Insufficient privileges|consent') {
        $options = "-Environment $Environment$(if ($EnrollmentEvents) { ' -EnrollmentEvents' })"
        Stop-Here -Status 2 -Message @"
You may not grant it. Microsoft Graph says: $_
A Global Administrator or a Privileged Role Administrator of the tenant has to, with this project's files at hand:
    infra/grant-graph-role.ps1 -PrincipalId $PrincipalId $options
"@
    }
    Stop-Here "It failed to grant; for an identity just made, run this again in some minutes. Microsoft Graph says: $_"
}
